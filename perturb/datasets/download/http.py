"""Transfer of a file over HTTP, resumed after interruptions, with a bounded number of retries.

`requests` connects, finds the proxy and follows redirections; `urllib3` counts retries and waits as
long as the server asks. What no library does is here (pooch starts over): received bytes stay in a
`.part` file, from which the next attempt or, after a kill, the next job goes on. A server without
range requests sends the file from the start. The caller verifies size and hash, then renames it.
"""

import logging
from pathlib import Path

import requests
from requests import codes
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util import Retry

from perturb.datasets.progress import Progress

LOG = logging.getLogger(__name__)
# The second attempt follows at once, the third after 4 s, each further one after twice the time.
RETRIES = Retry(5, backoff_factor=2.0, backoff_max=60.0, retry_after_max=60)
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
PROGRESS_BYTES = 16 << 20
_BUSY = (408, 425, 429, 500, 502, 503, 504)


def transfer(url: str, part: Path, *, size: int | None, most: int) -> None:
    """Download a file, resuming after the content of `part`.

    Without progress it is tried again as `RETRIES` says.

    Parameters
    ----------
    url : address, http or https.
    part : local file, which is extended.
    size : size of the whole file [bytes]; None if not published.
    most : maximum size [bytes].

    Raises
    ------
    ValueError
        if the address or a redirection is not http(s), or the server has a file of another size.
    ConnectionError
        if the server refuses, or sends no new data in any attempt.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    if length_of(part) > most:
        part.unlink()
    best, left = length_of(part), RETRIES
    with _session(url) as session:
        while length_of(part) != size:
            try:
                _receive(session, url, part, size=size, most=most)
                return
            except requests.exceptions.InvalidSchema as error:
                allowed = "http, https, and no redirection from https to http"
                raise ValueError(f"{url}: {error}; allowed: {allowed}") from error
            except (requests.RequestException, HTTPError) as error:
                # Only progress resets the count: a server without ranges may break off every time.
                has_progress = length_of(part) >= best + PROGRESS_BYTES
                best = max(best, length_of(part))
                left = _after(error, url, RETRIES if has_progress else left)


def _session(url: str) -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": "perturb", "Accept-Encoding": "identity"})
    if url.lower().startswith("https:"):
        del session.adapters["http://"]  # no redirection gives up encryption
    return session


def _receive(
    session: requests.Session, url: str, part: Path, *, size: int | None, most: int
) -> None:
    """Receive the missing bytes in one connection."""
    start = length_of(part)
    asked = {"Range": f"bytes={start}-"} if start else {}
    with session.get(url, headers=asked, stream=True, timeout=TIMEOUT_S) as response:
        is_part = response.status_code == codes.partial_content
        given = response.headers.get("Content-Range", f"status {response.status_code}")
        if response.status_code == codes.requested_range_not_satisfiable or (
            is_part and not given.startswith(f"bytes {start}-")
        ):
            part.unlink(missing_ok=True)
            raise ProtocolError(f"requested bytes from {start}, got {given!r}; starting over")
        response.raise_for_status()
        start = start if is_part else 0
        length = response.raw.length_remaining
        total = size if length is None else start + length
        if size not in (None, total):
            raise ValueError(f"{url}: the server has a file of {total} bytes, expected {size}")
        _write(response, part, start=start, total=total, most=most)


def _write(
    response: requests.Response, part: Path, *, start: int, total: int | None, most: int
) -> None:
    """Append received bytes from `start` on; refuse more than `most` bytes in all."""
    position = start
    with (
        part.open("ab" if start else "wb") as file,
        Progress(part.stem, total, start, unit="B", unit_scale=True) as progress,
    ):
        # Unlike `read`, it gives all that came before a connection was cut.
        while chunk := response.raw.read1(CHUNK_BYTES):
            position += len(chunk)
            if position > most:
                raise ValueError(f"{part}: the server sends more than the {most} bytes expected")
            file.write(chunk)
            progress.update(len(chunk))
    if total is not None and position < total:
        raise ProtocolError(f"ended after {position} of {total} bytes")


def _after(error: Exception, url: str, left: Retry) -> Retry:
    """Wait until the next attempt; return the retries that are left then.

    Raises
    ------
    ConnectionError
        if none is left, or no further attempt can help.
    """
    response: requests.Response | None = getattr(error, "response", None)
    cut = (requests.ConnectionError, requests.Timeout, HTTPError)
    is_busy = response is not None and response.status_code in _BUSY
    if not is_busy and (not isinstance(error, cut) or "CERTIFICATE_VERIFY_FAILED" in str(error)):
        raise ConnectionError(f"{url}: {error}") from error
    try:
        left = left.increment("GET", url, error=error)
    except MaxRetryError:
        tried = len(left.history) + 1
        raise ConnectionError(f"{url}: given up after {tried} attempts: {error}") from error
    LOG.warning("%s: %s; trying again", url, error)
    left.sleep(None if response is None else response.raw)
    return left


def length_of(path: Path) -> int:
    """Return the size of a file [bytes]; 0 if it does not exist."""
    return path.stat().st_size if path.exists() else 0
