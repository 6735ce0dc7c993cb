"""`_helpers`: HTTP requests and binary data."""

from _serpentarium.n8n import binary_plans, plans
from _serpentarium.n8n.calls import awaitable, blocking
from _serpentarium.n8n.failures import CallError, HttpError
from _serpentarium.n8n.manual import ApiObject


class Helpers(ApiObject):
    __doc__ = """_helpers: HTTP requests and binary data. n8n executes each call.

    A call that fails raises _helpers.CallError or its subclass HttpError. Each function waits for
    the answer. Its _async form returns an awaitable, so that several calls run at once:
    await asyncio.gather(*[_helpers.http_request_async(url) for url in urls])."""
    __slots__ = ()

    CallError = CallError
    HttpError = HttpError

    http_request = blocking(plans.http_request)
    http_request_async = awaitable(plans.http_request)
    get_binary_data = get_binary_data_buffer = blocking(binary_plans.get_binary_data)
    get_binary_data_async = get_binary_data_buffer_async = awaitable(binary_plans.get_binary_data)
    binary_path = blocking(binary_plans.binary_path)
    binary_path_async = awaitable(binary_plans.binary_path)
    prepare_binary_data = blocking(binary_plans.prepare_binary_data)
    prepare_binary_data_async = awaitable(binary_plans.prepare_binary_data)
    save_binary = blocking(binary_plans.save_binary)
    save_binary_async = awaitable(binary_plans.save_binary)
    set_binary_data = set_binary_data_buffer = blocking(binary_plans.set_binary_data)
    set_binary_data_async = set_binary_data_buffer_async = awaitable(binary_plans.set_binary_data)
    assert_binary_data = blocking(binary_plans.assert_binary_data)
    assert_binary_data_async = awaitable(binary_plans.assert_binary_data)
    binary_to_string = blocking(binary_plans.binary_to_string)
    binary_to_string_async = awaitable(binary_plans.binary_to_string)

    def __repr__(self) -> str:
        return "<_helpers: HTTP requests and binary data>"
