"""One file over HTTP: resumed where it was cut, tried again a bounded number of times.

What arrives is kept in a `.part` file, so a job that was killed goes on where it stopped. A server
that knows no ranges sends the file from the start. The content is not trusted: who calls this
compares size and hash before the file gets its name.
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
class Patience:
    """How long a server is waited for.

    attempts : how often in a row nothing new may arrive before it is given up.
    wait_s : before the second attempt; doubled before each further one, at most `longest_wait_s`.
    timeout_s : after which a silent connection counts as cut.
    report_s : time between two lines of progress in the log.
    """

    attempts: int = 6
    wait_s: float = 2.0
    longest_wait_s: float = 60.0
    timeout_s: float = 60.0
    report_s: float = 10.0


class _Retry(Exception):  # noqa: N818 - what is asked for, and never seen outside
    """The connection may be tried again, not before `wait_s`."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class _WrongRange(Exception):  # noqa: N818
    """The server does not continue where this file stops."""


class _Refused(Exception):  # noqa: N818
    """Asking again would not help."""


def transfer(url: str, part: Path, *, size: int | None, limit: int, patience: Patience) -> None:
    """Bring a file here, going on after what is in `part` already.

    Parameters
    ----------
    url : address, http or https.
    part : the file that is extended.
    size : of the whole file [bytes]; None where nobody publishes it.
    limit : bytes after which the server is not believed any more.

    Raises
    ------
    ValueError
        if the address or a redirection is not http(s), or the server has a file of another size.
    ConnectionError
        if the server refuses, or sends nothing new in as many attempts as `patience` has.
    """
    if urlsplit(url).scheme not in SCHEMES:
        raise ValueError(f"url is {url!r}; allowed: {', '.join(SCHEMES)}")
    part.parent.mkdir(parents=True, exist_ok=True)
    best, failures = length_of(part), 0
    while True:
        try:
            _receive(url, part, size=size, limit=limit, patience=patience)
            return
        except _Refused as error:
            raise ConnectionError(str(error)) from error
        except _Retry as error:
            # Only news counts: a server without ranges that always breaks off is given up.
            is_news = length_of(part) >= best + PROGRESS_BYTES
            best, failures = max(best, length_of(part)), 1 if is_news else failures + 1
            if failures >= patience.attempts:
                message = f"{url}: given up after {failures} attempts: {error}"
                raise ConnectionError(message) from error
            wait_s = max(error.wait_s, patience.wait_s * 2 ** (failures - 1))
            wait_s = min(wait_s, patience.longest_wait_s)
            LOG.warning("%s: %s; trying again in %.0f s", part.name, error, wait_s)
            time.sleep(wait_s)


def _receive(url: str, part: Path, *, size: int | None, limit: int, patience: Patience) -> None:
    """Receive what is missing, in one connection."""
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
        with _open(request, patience.timeout_s) as response:
            start, total = _extent(response, start)
            if size is not None and total not in (None, size):
                raise ValueError(f"{url}: the server has a file of {total} bytes, expected {size}")
            total = size if size is not None else total
            _write(response, part, start=start, total=total, most=most, report_s=patience.report_s)
    except _WrongRange as error:
        part.unlink(missing_ok=True)
        raise _Retry(f"{error}; starting over") from error
    except _CUT as error:
        raise _Retry(f"connection lost ({error})") from error


def _open(request: urllib.request.Request, timeout_s: float) -> http.client.HTTPResponse:
    """Return the server's answer; a `_Retry` where asking again may help."""
    url = request.full_url
    try:
        response = _opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            says = f"the server says {error.code} {error.reason}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _WrongRange(says) from error
            if error.code in _BUSY:
                raise _Retry(says, _asked(error)) from error
            raise _Refused(f"{url}: {says}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _Refused(f"{url}: not the server it claims to be ({error.reason})") from error
        raise _Retry(f"no connection ({error.reason})") from error
    return cast(http.client.HTTPResponse, response)


def _asked(error: urllib.error.HTTPError) -> float:
    """The seconds that a busy server asks for; 0 where it names none, or a date."""
    asked = error.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() and len(asked) < 6 else 0.0


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return where the server's bytes begin, and the size of the whole file if it says so."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content_range = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
    if match is None or int(match[1]) != start:
        raise _WrongRange(f"asked for bytes from {start}, got {content_range!r}")
    return start, None if match[2] == "*" else int(match[2])


def _write(
    response: IO[bytes], part: Path, *, start: int, total: int | None, most: int, report_s: float
) -> None:
    """Append what arrives from `start` on; more than `most` bytes in all are refused."""
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
    """Redirections to http(s) only, and none that gives up encryption."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request that follows."""
        schemes = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if schemes[1] not in SCHEMES or schemes == ("https", "http"):
            raise ValueError(
                f"{req.full_url}: redirected to {newurl!r}; allowed: https, or as asked"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # The standard opener also reads file:, ftp: and data: addresses.
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
    """Return the size of a file [bytes]; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
