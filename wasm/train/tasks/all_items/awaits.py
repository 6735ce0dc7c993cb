import asyncio


async def one(x):
    await asyncio.sleep(0)
    return x


return await asyncio.gather(one(1), one(2))
