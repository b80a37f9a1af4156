"""Transfer of a file over HTTP, resumed after interruptions, with a bounded number of retries.

Received bytes are kept in a `.part` file, from which a killed job resumes. A server without range
requests sends the file from the start. The caller verifies size and hash, then renames the file.
"""

import http.client
import logging
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

LOG = logging.getLogger(__name__)
SCHEMES = ("http", "https")
CHUNK_BYTES = 1 << 20
PROGRESS_BYTES = 16 << 20
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_CUT = (TimeoutError, ConnectionError, http.client.HTTPException, ssl.SSLError)


@dataclass(frozen=True)
class RetryPolicy:
    """Retries, waiting times and timeouts of a transfer.

    attempts : maximum number of successive attempts without progress.
    wait_s : pause before the second attempt; doubles with each attempt up to `longest_wait_s`.
    timeout_s : time without data after which a connection counts as lost.
    report_s : time between progress lines in the log.
    """

    attempts: int = 6
    wait_s: float = 2.0
    longest_wait_s: float = 60.0
    timeout_s: float = 60.0
    report_s: float = 10.0


class _Retry(Exception):  # noqa: N818 - a request to retry, caught in this module
    """The transfer may be retried after `wait_s`."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class _WrongRange(Exception):  # noqa: N818
    """The server does not continue at the end of the local file."""


class _Refused(Exception):  # noqa: N818
    """The server refuses for good."""


def transfer(url: str, part: Path, *, size: int | None, limit: int, policy: RetryPolicy) -> None:
    """Download a file, resuming after the content of `part`.

    Parameters
    ----------
    url : address, http or https.
    part : local file, which is extended.
    size : size of the whole file [bytes]; None if not published.
    limit : maximum size if `size` is None [bytes].

    Raises
    ------
    ValueError
        if the address or a redirection is not http(s), or the server has a file of another size.
    ConnectionError
        if the server refuses, or sends no new data in `policy.attempts` attempts.
    """
    if urlsplit(url).scheme not in SCHEMES:
        raise ValueError(f"url is {url!r}; allowed: {', '.join(SCHEMES)}")
    part.parent.mkdir(parents=True, exist_ok=True)
    best, failures = length_of(part), 0
    while True:
        try:
            _receive(url, part, size=size, limit=limit, policy=policy)
            return
        except _Refused as error:
            raise ConnectionError(str(error)) from error
        except _Retry as error:
            # Only progress resets the count: a server without ranges may break off every time.
            is_progress = length_of(part) >= best + PROGRESS_BYTES
            best, failures = max(best, length_of(part)), 1 if is_progress else failures + 1
            if failures >= policy.attempts:
                message = f"{url}: given up after {failures} attempts: {error}"
                raise ConnectionError(message) from error
            wait_s = max(error.wait_s, policy.wait_s * 2 ** (failures - 1))
            wait_s = min(wait_s, policy.longest_wait_s)
            LOG.warning("%s: %s; trying again in %.0f s", part.name, error, wait_s)
            time.sleep(wait_s)


def _receive(url: str, part: Path, *, size: int | None, limit: int, policy: RetryPolicy) -> None:
    """Receive the missing bytes in one connection."""
    most = limit if size is None else size
    if length_of(part) > most:
        part.unlink()
    start = length_of(part)
    if start == size:
        return
    headers = {"User-Agent": "perturb", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        with _open(request, policy.timeout_s) as response:
            start, total = _extent(response, start)
            if size is not None and total not in (None, size):
                raise ValueError(f"{url}: the server has a file of {total} bytes, expected {size}")
            total = size if size is not None else total
            _write(response, part, start=start, total=total, most=most, report_s=policy.report_s)
    except _WrongRange as error:
        part.unlink(missing_ok=True)
        raise _Retry(f"{error}; starting over") from error
    except _CUT as error:
        raise _Retry(f"connection lost ({error})") from error


def _open(request: urllib.request.Request, timeout_s: float) -> http.client.HTTPResponse:
    """Return the response of the server; raise `_Retry` for temporary failures."""
    url = request.full_url
    try:
        response = _opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            status = f"the server says {error.code} {error.reason}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _WrongRange(status) from error
            if error.code in _BUSY:
                raise _Retry(status, _retry_after_s(error)) from error
            raise _Refused(f"{url}: {status}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _Refused(f"{url}: not the server it claims to be ({error.reason})") from error
        raise _Retry(f"no connection ({error.reason})") from error
    return cast(http.client.HTTPResponse, response)


def _retry_after_s(error: urllib.error.HTTPError) -> float:
    """Return the waiting time of a Retry-After header [s]; 0 if absent or a date."""
    asked = error.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() and len(asked) < 6 else 0.0


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return the position of the first byte, and the size of the whole file if declared."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content_range = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if match is None or int(match[1]) != start:
        raise _WrongRange(f"requested bytes from {start}, got {content_range!r}")
    return start, None if match[2] == "*" else int(match[2])


def _write(
    response: IO[bytes], part: Path, *, start: int, total: int | None, most: int, report_s: float
) -> None:
    """Append received bytes from `start` on; refuse more than `most` bytes in all."""
    position, begun_s = start, time.monotonic()
    reported_s = begun_s
    with part.open("ab" if start else "wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            position += len(chunk)
            if position > most:
                raise ValueError(f"{part}: the server sends more than the {most} bytes expected")
            file.write(chunk)
            if time.monotonic() - reported_s >= report_s:
                reported_s = time.monotonic()
                elapsed_s = max(reported_s - begun_s, 1e-9)
                _report(part.stem, position, total, (position - start) / elapsed_s)
    if total is not None and position < total:
        raise ConnectionError(f"ended after {position} of {total} bytes")


def _report(name: str, position: int, total: int | None, bytes_per_s: float) -> None:
    left = "" if total is None else f" of {total / 1e6:.1f}"
    time_left = "" if total is None else f", {(total - position) / bytes_per_s:.0f} s left"
    LOG.info("%s: %.1f%s MB, %.1f MB/s%s", name, position / 1e6, left, bytes_per_s / 1e6, time_left)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirections to http(s) only, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the redirected request."""
        schemes = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if schemes[1] not in SCHEMES or schemes == ("https", "http"):
            raise ValueError(
                f"{req.full_url}: redirected to {newurl!r}; allowed: https, or the same scheme"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # The default opener also accepts file:, ftp: and data: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler(), urllib.request.UnknownHandler()),
        *(urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()),
        *(urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def length_of(path: Path) -> int:
    """Return the size of a file [bytes]; 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0
