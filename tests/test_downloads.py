"""Downloads from a local server: a complete and verified folder, or a clear error and no folder."""

import copy
import hashlib
import io
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.util import Retry

from perturb.datasets import progress
from perturb.datasets.download import http
from perturb.datasets.download.downloads import download, fetch
from perturb.datasets.download.http import RETRIES, transfer
from perturb.datasets.download.register import Entry, RemoteFile, read_register, register_entry
from perturb.datasets.download.unpacking import Bound
from tests.image_files import tar_of

REGISTER = Path(__file__).parents[1] / "resources" / "downloads.yaml"
QUICK = Retry(2, backoff_factor=0.001, retry_after_max=0)
CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(http, "RETRIES", QUICK)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)


@dataclass
class Served:
    """Behaviour of the server for one address.

    cuts : bytes after which each of the first connections is cut.
    answers : status codes of the first responses.
    shift : number of bytes by which ranges start too early.
    pause_s : time between the last byte and the end of a connection.
    """

    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    has_length: bool = True
    shift: int = 0
    pause_s: float = 0.0
    asked: list[str | None] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    served: dict[str, Served]

    def do_GET(self) -> None:
        served = self.served.get(self.path)
        if served is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        served.asked.append(asked)
        if served.answers:
            self.send_response(served.answers.pop(0))
            self._end(served, 0)
            return
        start = 0
        if asked and served.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            start -= served.shift
            if start >= len(served.content):
                self.send_error(416)
                return
            self.send_response(206)
            end = f"{len(served.content) - 1}/{len(served.content)}"
            self.send_header("Content-Range", f"bytes {start}-{end}")
        else:
            self.send_response(200)
        self._end(served, len(served.content) - start)
        body = served.content[start:]
        self.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)
        time.sleep(served.pause_s)

    def _end(self, served: Served, length: int) -> None:
        for name, value in served.headers.items():
            self.send_header(name, value)
        if served.has_length:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@dataclass
class Server:
    """A server of `files` by path, at `url`."""

    url: str
    files: dict[str, Served]

    def file(self, name: str, served: Served, **changes: Any) -> RemoteFile:
        """Serve a file and return its entry of a register."""
        self.files[f"/{name}"] = served
        sha256 = hashlib.sha256(served.content).hexdigest()
        file = RemoteFile(
            name, f"{self.url}/{name}", len(served.content), sha256, md5=None, unpacked=None
        )
        return replace(file, **changes)


@pytest.fixture
def server() -> Iterator[Server]:
    files: dict[str, Served] = {}
    handler = type("Handler", (_Handler,), {"served": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield Server(f"http://127.0.0.1:{http_server.server_port}", files)
        http_server.shutdown()
        thread.join()


def _entry(*files: RemoteFile) -> Entry:
    return Entry("toy", "https://example.org", "CC0", "Nobody, 2021", 4, ".", None, files)


BOUND = Bound(num_files=10, num_bytes=100_000)
NOISE = {"noise/1/n01/a.JPEG": b"a" * 900, "noise/1/n02/b.JPEG": b"b"}
BLUR = {"blur/1/n01/a.JPEG": b"c", "README": b"d"}


EXPECTED = {**NOISE, **BLUR, "labels.json": b"[]"}


def _toy(server: Server) -> Entry:
    """Serve what unpacks to `EXPECTED`; names do not tell how archives are compressed."""
    return _entry(
        server.file("noise.tar", Served(tar_of(NOISE, "w:gz")), unpacked=BOUND),
        server.file("blur.tar.gz", Served(tar_of(BLUR)), unpacked=BOUND),
        server.file("labels.json", Served(b"[]")),
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_archives_and_files_are_joined_into_one_folder(server: Server, tmp_path: Path) -> None:
    download(_toy(server), tmp_path / "data" / "toy")
    assert _contents(tmp_path / "data" / "toy") == EXPECTED
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["toy"]


def test_an_empty_folder_may_be_there_and_a_full_one_not(server: Server, tmp_path: Path) -> None:
    entry = _entry(server.file("labels.json", Served(b"[]")))
    (tmp_path / "toy").mkdir()
    download(entry, tmp_path / "toy")
    with pytest.raises(ValueError, match="exists already"):
        download(entry, tmp_path / "toy")


CUTS: dict[str, tuple[Served, list[str | None]]] = {
    "whole": (Served(), [None]),
    "cut twice": (Served(cuts=[1000, 500]), [None, "bytes=1000-", "bytes=1500-"]),
    "cut, no ranges": (Served(cuts=[1000], ranges=False), [None, "bytes=1000-"]),
    "cut at once": (Served(cuts=[0]), [None, None]),
    "no length": (Served(has_length=False), [None]),
    "cut, no length": (Served(has_length=False, cuts=[1000]), [None, "bytes=1000-"]),
    "cut, wrong range": (Served(cuts=[1000], shift=1), [None, "bytes=1000-", None]),
    "busy": (Served(answers=[503, 429]), [None, None, None]),
    "busy, asks to wait": (Served(answers=[503], headers={"Retry-After": "9"}), [None, None]),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_file_arrives_in_spite_of(case: str, server: Server, tmp_path: Path) -> None:
    served, asked = copy.deepcopy(CUTS[case])
    begun_s = time.monotonic()
    path = fetch(server.file("a.bin", served), tmp_path)
    assert time.monotonic() - begun_s < 5
    assert path.read_bytes() == CONTENT
    assert served.asked == asked
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        (CONTENT[:3000], ["bytes=3000-"]),
        (CONTENT, []),
        (CONTENT + b"more", [None]),
        (b"?" * 3000, ["bytes=3000-", None]),
        (b"?" * len(CONTENT), [None]),
    ],
    ids=["a part", "all", "too much", "a part of another file", "another file"],
)
def test_what_a_killed_job_left_is_used(
    part: bytes, asked: list[str | None], server: Server, tmp_path: Path
) -> None:
    served = Served()
    (tmp_path / "a.bin.part").write_bytes(part)
    path = fetch(server.file("a.bin", served), tmp_path)
    assert path.read_bytes() == CONTENT
    assert served.asked == asked


def test_a_file_of_unknown_size_replaces_a_longer_part(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT * 2)
    file = server.file("a.bin", Served(ranges=False), size=None)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_verified_file_is_not_fetched_again_and_a_changed_one_is(
    server: Server, tmp_path: Path
) -> None:
    served = Served()
    file = server.file("a.bin", served)
    fetch(file, tmp_path)
    fetch(file, tmp_path)
    assert len(served.asked) == 1
    (tmp_path / "a.bin").write_bytes(CONTENT[::-1])
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert len(served.asked) == 2


WRONG: dict[str, tuple[Served, dict[str, Any], type[Exception], str]] = {
    "sha256": (Served(), {"sha256": "0" * 64}, ValueError, "sha256 .*, expected 0000"),
    "md5": (Served(), {"md5": "0" * 32}, ValueError, "md5 .*, expected 0000"),
    "size, announced": (Served(), {"size": 9}, ValueError, "has a file of 10240 bytes, expected 9"),
    "size, too long": (Served(has_length=False), {"size": 9}, ValueError, "more than the 9 bytes"),
    "size, too short": (
        Served(has_length=False, ranges=False),
        {"size": 20_000},
        ConnectionError,
        "ended after 10240 of 20000",
    ),
    "endless": (
        Served(has_length=False),
        {"size": None, "unpacked": Bound(1, 10_000)},
        ValueError,
        "more than the 10000 bytes",
    ),
    "gone": (Served(answers=[410] * 9), {}, ConnectionError, "410 Client Error"),
    "forbidden": (Served(answers=[403] * 9), {}, ConnectionError, "403 Client Error"),
    "always busy": (Served(answers=[503] * 9), {}, ConnectionError, "after 3 attempts: 503"),
    "always cut": (
        Served(cuts=[100] * 9, ranges=False),
        {},
        ConnectionError,
        r"after 3 attempts: .*100 bytes read, 10140 more expected",
    ),
    "another scheme": (Served(), {"url": "file:///etc/passwd"}, ValueError, "allowed: http, https"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_gets_no_name(case: str, server: Server, tmp_path: Path) -> None:
    served, changes, error, message = copy.deepcopy(WRONG[case])
    file = replace(server.file("a.bin", served), **changes)
    with pytest.raises(error, match=message):
        download(_entry(file), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()
    assert not (tmp_path / ".toy.download" / "a.bin").exists()


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    file = replace(server.file("a.bin", Served()), url=f"{server.url}/missing")
    with pytest.raises(ConnectionError, match="/missing: 404 Client Error"):
        fetch(file, tmp_path)


def test_a_server_that_stalls_is_asked_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.1)
    served = Served(cuts=[1000], pause_s=0.5)
    path = fetch(server.file("a.bin", served), tmp_path)
    assert path.read_bytes() == CONTENT
    assert served.asked == [None, "bytes=1000-"]


@pytest.mark.parametrize(("asked_s", "waited_s"), [(7, 7), (999, 60)])
def test_a_busy_server_is_given_the_time_it_asks_for(
    asked_s: int, waited_s: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(http, "RETRIES", RETRIES)
    served = Served(answers=[503], headers={"Retry-After": str(asked_s)})
    fetch(server.file("a.bin", served), tmp_path)
    assert [wait_s for wait_s in waits if wait_s] == [waited_s]


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"given up after 3 attempts: .*Connection refused"):
        transfer("http://127.0.0.1:9/a", tmp_path / "a.part", size=1, most=1)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a"])
def test_a_redirection_to_another_scheme_is_refused(
    target: str, server: Server, tmp_path: Path
) -> None:
    served = Served(answers=[302], headers={"Location": target})
    with pytest.raises((ValueError, ConnectionError), match=f"{re.escape(target)}.*no redirection"):
        fetch(server.file("a.bin", served), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_redirection_does_not_give_up_encryption(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served()
    file = server.file("a.bin", served)
    send = requests.adapters.HTTPAdapter.send

    def redirecting(
        adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Answer as https://example.org, which sends each request on to the server."""
        if not str(request.url).startswith("https://example.org"):
            return send(adapter, request, **options)
        response = requests.Response()
        response.status_code, response.url, response.request = 302, str(request.url), request
        response.headers["Location"] = location
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirecting)
    location = f"{server.url}/a.bin"
    with pytest.raises(ValueError, match="no redirection from https to http"):
        fetch(replace(file, url="https://example.org/a.bin"), tmp_path)
    assert served.asked == []
    assert list(tmp_path.iterdir()) == []
    fetch(file, tmp_path)
    assert served.asked == [None]


def test_a_server_of_another_name_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refusing(*_: Any, **__: Any) -> requests.Response:
        asked.append(None)
        raise requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to verify")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refusing)
    with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        transfer("https://example.org/a", tmp_path / "a", size=1, most=1)
    assert len(asked) == 1


def test_a_redirection_is_followed_with_the_range(server: Server, tmp_path: Path) -> None:
    file = server.file("real.bin", Served())
    server.file("a.bin", Served(answers=[302] * 2, headers={"Location": f"{server.url}/real.bin"}))
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:10])
    fetch(replace(file, name="a.bin", url=f"{server.url}/a.bin"), tmp_path)
    assert server.files["/real.bin"].asked == ["bytes=10-"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_malicious_archive_leaves_no_folder(mode: str, server: Server, tmp_path: Path) -> None:
    archive = tar_of({"fine": b"a", "../../evil": b"b"}, mode)
    file = server.file("a.tar", Served(archive), unpacked=BOUND)
    with pytest.raises(ValueError, match="leads out"):
        download(_entry(file), tmp_path / "data" / "toy")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.tar"]


def test_two_archives_with_one_folder_are_refused(server: Server, tmp_path: Path) -> None:
    entry = _entry(
        server.file("a.tar", Served(tar_of(NOISE, "w:gz")), unpacked=BOUND),
        server.file("b.tar", Served(tar_of(NOISE, "w:gz")), unpacked=BOUND),
    )
    with pytest.raises(ValueError, match="'noise' is in more than one"):
        download(entry, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


STEPS = [(Path, "rename"), (Path, "replace"), (Path, "unlink"), (Path, "rmdir"), (shutil, "rmtree")]


def _run_until_killed(
    entry: Entry, folder: Path, *, at: int, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Download; from step `at` on nothing happens on the disk any more. Return if it did."""
    done = 0

    def dying(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            result = step(*args, **kwargs) if done <= at + is_after else None
            if done > at:
                raise KeyboardInterrupt
            return result

        return wrapped

    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        try:
            download(entry, folder)
        except KeyboardInterrupt:
            return True
    return False


@pytest.mark.parametrize("is_after", [False, True])
def test_killed_anywhere_a_download_goes_on(
    is_after: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step: the folder is absent or whole, and whole after the next run."""
    entry = _toy(server)
    for at in range(100):
        folder = tmp_path / str(at)
        if not _run_until_killed(entry, folder, at=at, is_after=is_after, monkeypatch=monkeypatch):
            break
        if folder.exists():
            assert _contents(folder) == EXPECTED
            # A workflow that saw its job killed removes the output and starts the job again.
            shutil.rmtree(folder)
        download(entry, folder)
        assert _contents(folder) == EXPECTED
        assert not folder.with_name(f".{at}.download").exists()
    assert 10 < at < 50


def test_a_disk_that_is_too_small(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = server.file("a.tar", Served(tar_of(NOISE, "w:gz")), size=10**9, unpacked=BOUND)
    usage = type("Usage", (), {"free": 10**9})
    monkeypatch.setattr("perturb.datasets.download.downloads.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match=r"needs about 2\.0 GB more, 1\.0 GB are free"):
        download(_entry(file), tmp_path / "toy")
    assert server.files["/a.tar"].asked == []


def test_progress_is_logged(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fetch(server.file("a.bin", Served(CONTENT * 300)), tmp_path)
    assert re.search(r"a\.bin: [\d.]+M of 3\.07MB, [\d.]+MB/s, 00:00 left", caplog.text)
    assert "a.bin: verified" in caplog.text


def test_register_of_the_repository() -> None:
    register = read_register(REGISTER)
    assert {"imagenet-c", "imagenet-r", "imagenet-a", "imagenet-v2", "imagenet-sketch"} < {
        *register
    }
    for entry in register.values():
        assert (entry.login is None) == all(file.url for file in entry.files), entry.name
        assert all(not file.url or file.url.startswith("https://") for file in entry.files)


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("imagenet-q", None, "'imagenet-q' is not in .*allowed: imagenet-2012"),
        ("imagenet-2012", None, "without a login. Ask for access"),
        ("imagenet-c", None, r"the SHA-256 of noise.tar, blur.tar, .* is not published"),
        ("imagenet-c", {"noise.tar": "0" * 64}, "SHA-256 of blur.tar, weather.tar"),
        ("imagenet-c", {"nose.tar": "0" * 64}, "'nose.tar' is none of its files"),
        ("imagenet-r", "0" * 64, "contradicts the register's 18c6bf49"),
    ],
)
def test_what_cannot_be_downloaded_is_refused(name: str, sha256: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_entry(REGISTER, name, sha256)


def test_the_configuration_gives_a_sha256_that_is_not_published() -> None:
    names = [file.name for file in read_register(REGISTER)["imagenet-c"].files]
    entry = register_entry(REGISTER, "imagenet-c", dict.fromkeys(names, "AB" * 32))
    assert {file.sha256 for file in entry.files} == {"ab" * 32}
    assert register_entry(REGISTER, "cue-conflict", "0" * 64).files[0].sha256 == "0" * 64
    assert register_entry(REGISTER, "imagenet-r").files[0].sha256


FILE = "{name: a.tar, url: 'https://example.org/a', sha256: '" + "0" * 64 + "'}"
REST = "homepage: h, licence: l, citation: c, images: 1, path: ."


OTHERS: dict[str, str | None] = {
    f"toy: {{{REST}, files: [{FILE}]}}": None,
    "[]": r"\[\] is not of type 'object'",
    f"toy: {{{REST}}}": "toy: 'files' is a required property",
    f"toy: {{{REST}, colour: red, files: [{FILE}]}}": "toy: Additional properties .*'colour'",
    f"toy: {{{REST}, files: []}}": r"toy\.files: \[\] should be non-empty",
    f"toy: {{{REST}, files: [{FILE}, {FILE}]}}": "a name of its own",
    f"toy: {{{REST}, files: [{{name: a}}]}}": r"files\.0: 'url' is a required property",
    f"toy: {{{REST}, files: [{FILE.replace('a.tar', '../a')}]}}": r"files\.0\.name: '\.\./a' does",
    f"toy: {{{REST}, files: [{FILE.replace('https', 'ftp')}]}}": r"files\.0\.url: 'ftp://.*' does",
    f"toy: {{{REST}, files: [{FILE.replace('0' * 64, 'x0')}]}}": r"files\.0\.sha256: 'x0' does",
    f"toy: {{{REST}, files: [{FILE[:-1]}, size: big}}]}}": r"files\.0\.size: 'big' is not",
    f"toy: {{{REST}, files: [{FILE[:-1]}, unpacked: {{num_files: 1}}}}]}}": "'num_bytes' is a requ",
}


@pytest.mark.parametrize(("text", "message"), OTHERS.items())
def test_register_names_entry_and_key(text: str, message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "downloads.yaml"
    path.write_text(text)
    if message is None:
        assert read_register(path)["toy"].files[0].name == "a.tar"
        return
    with pytest.raises(ValueError, match=message) as caught:
        read_register(path)
    assert str(path) in str(caught.value)
