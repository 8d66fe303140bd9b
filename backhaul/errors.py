"""Every failure Backhaul raises on purpose. A message names the merchant, the record and the way out."""


class BackhaulError(Exception):
    """The root: catch this to catch everything Backhaul raises on purpose."""


class ConfigError(BackhaulError):
    """The configuration cannot be used. One line: what is wrong, where, and how to put it right."""


class StoreError(BackhaulError):
    """The store is missing, unmigrated, locked or full."""


class StructuralError(BackhaulError):
    """What a vendor sent has the wrong shape as a whole; the window fails and no watermark moves."""


class VendorError(BackhaulError):
    """A call to a vendor did not succeed.

    `is_certain` is True when nothing was done at the vendor (refused connection, 429, a refusal): the call may simply
    be made again. It is False when the effect may have happened (time-out, reset, 5xx, unreadable body): look first.
    """

    def __init__(self, message: str, *, is_certain: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.is_certain = is_certain
        self.retry_after = retry_after


class TransientVendorError(VendorError):
    """Worth trying again later: network, 408, 429, 5xx, a redirect, a body that is not JSON. `retry_after` is in seconds, if told."""


class ThrottledError(TransientVendorError):
    """429: the vendor takes no more calls for now, and did nothing."""


class BudgetSpentError(TransientVendorError):
    """Our own call budget is used up: nothing was sent, and the vendor has done nothing wrong. `retry_after` is when a call is free."""


class PermanentVendorError(VendorError):
    """The vendor said, in its own JSON, that trying again will not help: 400, 404, 422, a refusal in the body."""


class UnauthorizedError(PermanentVendorError):
    """401 or 403: the key is not accepted, or lacks the scope. The message names the scope and the key's reference."""


class RefusedError(PermanentVendorError):
    """The vendor said no to a write, often with HTTP 200. `code` is the vendor's own, where it gives one."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
