"""A runner whose every text holds control characters. The broker's output must not.

It answers the first task with an error and ends.
"""

import asyncio
import json
import os
import urllib.parse

from websockets.asyncio.client import connect

import wrong_runner

HOSTILE = os.environ["HOSTILE"]


async def main() -> None:
    name = urllib.parse.quote(HOSTILE)
    address = f"{wrong_runner.BROKER.replace('http', 'ws', 1)}/runners/_ws?id={name}"
    headers = {"Authorization": f"Bearer {wrong_runner.grant()}"}
    async with connect(address, additional_headers=headers, compression=None) as broker:

        async def send(kind: str, **fields: object) -> None:
            await broker.send(json.dumps({"type": kind, **fields}, ensure_ascii=False))

        await broker.send(HOSTILE)
        await broker.send(HOSTILE.encode() + b"\xff")
        await send(HOSTILE)
        await send("runner:info", name=HOSTILE, types=["python", HOSTILE])
        await send("runner:taskoffer", offerId=HOSTILE, taskType=HOSTILE, validFor=1)
        await send("runner:taskoffer", offerId=HOSTILE, taskType="python", validFor=HOSTILE)
        await send("runner:taskdone", taskId=HOSTILE, data={HOSTILE: HOSTILE})
        await send("runner:taskrejected", taskId=HOSTILE, reason=HOSTILE)
        await send("runner:taskoffer", offerId=HOSTILE, taskType="python", validFor=-1)
        async for frame in broker:
            message = json.loads(frame)
            match message["type"]:
                case "broker:taskofferaccept":
                    await send("runner:taskaccepted", taskId=message["taskId"])
                case "broker:tasksettings":
                    task = {"taskId": message["taskId"]}
                    params = [f"'{HOSTILE}'"]
                    await send(
                        "runner:rpc", callId=HOSTILE, name="logNodeOutput", params=params, **task
                    )
                    error = {"message": HOSTILE, "description": HOSTILE}
                    await send("runner:taskerror", error=error, **task)


asyncio.run(main())
