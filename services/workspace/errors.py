"""What the API refuses, in Databricks' form: `{"error_code": ..., "message": ...}` with an HTTP status."""

from pinline.errors import PinlineError


class ApiError(PinlineError):
    """An answer that is an error."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code


def invalid(message: str) -> ApiError:
    """Return the error for a request that can't be meant."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> ApiError:
    """Return the error for a job or run that isn't there; the Jobs API answers 400, not 404."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)
