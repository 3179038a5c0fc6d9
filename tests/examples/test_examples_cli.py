"""The command line of the example site: options, errors, and processes that belong together."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples import __main__ as whole
from examples import options, site
from examples.fastapi_app import __main__ as shop
from examples.quart_app import __main__ as orders
from examples.report import Report, line, read_line, table
from examples.site import Member
from examples.supervisor import Supervisor
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Revision

ROOT = Path(__file__).parents[2]
GATEWAY_SEES_ALL = line(Report(joined=True, services={"shop": [1], "orderService": [1, 2]}))
JOINED = line(Report(joined=True))


def pretend(service: str, version: int, *arguments: str, port: int = 9) -> Member:
    """A member that only reports."""
    return Member(service, version, port, "tests.examples.pretend_member", arguments, is_gateway=service == "shop")


def supervisor(*members: Member, together: bool = False, join_seconds: float = 15.0) -> Supervisor:
    return Supervisor(members, log_level="warning", together=together, join_seconds=join_seconds)


@pytest.fixture
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("main", [whole.main, shop.main, orders.main])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "0"], "argument --port: '0' is not a port"),
        (["--port", "65536"], "argument --port: '65536' is not a port"),
        (["--port", "eighty"], "argument --port: 'eighty' is not a port"),
        (["--port", "٨٠"], "argument --port: '٨٠' is not a port"),
        (["--port"], "argument --port: expected one argument"),
        (["--log-level", "loud"], "invalid choice: 'loud'"),
        (["--por", "8000"], "unrecognized arguments: --por"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_a_wrong_option_ends_with_2_and_says_what_is_wrong(
    main: Callable[[list[str]], int], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option ends the program with code 2, and standard error names option and value."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weight", "-1"], "argument --weight: '-1' is not a weight"),
        (["--weight", "nan"], "argument --weight: 'nan' is not a weight"),
        (["--weight", "inf"], "argument --weight: 'inf' is not a weight"),
        (["--weight", "much"], "argument --weight: 'much' is not a weight"),
        (["--version", "3"], "argument --version: invalid choice: 3"),
        (["--version", "two"], "argument --version: invalid int value: 'two'"),
        (["--gateway", "127.0.0.1:8000"], "argument --gateway: '127.0.0.1:8000' is not a gateway"),
        (["--gateway", "ftp://127.0.0.1"], "argument --gateway: 'ftp://127.0.0.1' is not a gateway"),
        (["--gateway", "http://127.0.0.1:8000/x"], "is not a gateway"),
        (["--gateway", "http://127.0.0.1:99999"], "is not a gateway"),
    ],
)
def test_a_wrong_option_of_an_instance_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The options that only the order service has are checked as well."""
    with pytest.raises(SystemExit) as ended:
        orders.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("main", [whole.main, shop.main])
def test_an_unknown_store_is_refused_with_the_ones_there_are(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that is not supported is refused by a message that names what is."""
    with pytest.raises(SystemExit) as ended:
        main(["--store", "mysql://:hunter2@127.0.0.1"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "argument --store: its value begins with 'mysql': expected memory:// for one process" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("redis://:hunter2@127.0.0.1:1/0", 1, "the store redis://:***@127.0.0.1:1/0 cannot be used: "),
        ("redis://127.0.0.1:port", 2, "port"),
        ("sqlite:////proc/nowhere/site.db", 1, "the store sqlite:////proc/nowhere/site.db cannot be used: "),
    ],
)
def test_a_store_that_is_away_is_named_before_anything_starts(
    url: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its store a fleet does not start, and one line says why, without the password."""
    with pytest.raises(SystemExit) as ended:
        whole.main(["--store", url])
    said = capsys.readouterr()
    assert ended.value.code == code
    assert words in said.err
    assert "hunter2" not in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


async def test_a_store_that_never_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that hangs is given up after some seconds."""

    class Hanging(MemoryStore):
        async def revision(self) -> Revision:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("hydra_asgi.backends.stores.open_store", lambda url: Hanging())
    monkeypatch.setattr(options, "STORE_SECONDS", 0.01)
    with pytest.raises(SystemExit):
        await asyncio.to_thread(options.require_store, "program", "redis://h")
    assert "the store redis://h cannot be used: no answer within 0.01 s" in capsys.readouterr().err


def test_a_fleet_needs_four_ports(capsys: pytest.CaptureFixture[str]) -> None:
    """With two shops there is one port more, which has to be there as well."""
    with pytest.raises(SystemExit) as ended:
        whole.main(["--store", "sqlite:////tmp/never-opened.db", "--port", "65533"])
    assert ended.value.code == 2
    assert "--port 65533 leaves no room for 3 more ports after it" in capsys.readouterr().err


def test_the_store_of_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --store it is `HYDRA_STORE` that says where the directory is kept."""
    monkeypatch.setenv("HYDRA_STORE", "mysql://h")
    with pytest.raises(SystemExit):
        whole.main([])
    assert "begins with 'mysql'" in capsys.readouterr().err


def test_the_last_ports_are_kept_for_the_order_service(capsys: pytest.CaptureFixture[str]) -> None:
    """The shop's port leaves room for the two ports that follow it."""
    with pytest.raises(SystemExit):
        whole.main(["--port", "65534"])
    assert "a number from 1 to 65533" in capsys.readouterr().err


@pytest.mark.parametrize("main", [whole.main, shop.main, orders.main])
def test_help_goes_to_standard_output(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for help is no error, and hides what only the supervisor says."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr()
    assert ended.value.code == 0
    assert said.out.startswith("usage: python -m examples")
    assert "supervised" not in said.out
    assert said.err == ""


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_port_in_use_is_named_before_anything_starts(
    taken: int, offset: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """When one of the three ports is taken, the site says which and starts nothing."""
    with pytest.raises(SystemExit) as ended:
        whole.main(["--port", str(taken - offset)])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert "is in use" in said.err
    assert "--port" in said.err
    assert said.out == ""


def test_a_port_that_may_not_be_had_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that the system refuses for another reason is named with that reason."""

    class Refused(socket.socket):
        def bind(self, _: object, /) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(SystemExit):
        options.bind("program", 80)
    assert "port 80 on 127.0.0.1 cannot be had: Permission denied" in capsys.readouterr().err


def test_a_missing_extra_is_answered_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra installed, the program says how to install it instead of showing a traceback."""
    with pytest.raises(SystemExit) as ended:
        options.require("program", ("json", "no_such_library"))
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "program: error: no_such_library not installed; run: pip install '.[examples]'\n"
    )


def test_the_plan_names_three_processes() -> None:
    """The site is the shop and two versions of the order service, on three ports in a row, weighted 90 to 10."""
    members = site.plan(9000)
    assert [(m.service, m.version, m.port) for m in members] == [
        ("shop", 1, 9000),
        ("orderService", 1, 9001),
        ("orderService", 2, 9002),
    ]
    assert members[1].arguments == ("--version", "1", "--weight", "90", "--gateway", "http://127.0.0.1:9000")
    assert members[2].arguments == ("--version", "2", "--weight", "10", "--gateway", "http://127.0.0.1:9000")


def test_the_plan_of_a_fleet() -> None:
    """With a shared store two shops are gateways, and each version begins with another of them."""
    members = site.plan(9000, "redis://:hunter2@h/0")
    assert [(m.service, m.version, m.port, m.is_gateway) for m in members] == [
        ("shop", 1, 9000, True),
        ("shop", 1, 9001, True),
        ("orderService", 1, 9002, False),
        ("orderService", 2, 9003, False),
    ]
    one, other = "--gateway http://127.0.0.1:9000", "--gateway http://127.0.0.1:9001"
    assert members[2].command.endswith(f"--version 1 --weight 90 {one} {other}")
    assert members[3].command.endswith(f"--version 2 --weight 10 {other} {one}")
    assert members[0].options[-2:] == ("--store", "redis://:hunter2@h/0")
    assert members[0].command.endswith("--store 'redis://:***@h/0'")


def test_key_and_secret_come_from_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the demo's key and secret, an option over both."""
    monkeypatch.delenv("HYDRA_KEY", raising=False)
    monkeypatch.setenv("HYDRA_SECRET", "from the environment")
    demo = site.membership({})
    assert demo["key"] == "tidekiln-demo"
    assert demo["secret"] == "from the environment"
    assert site.membership({"key": "mine"})["key"] == "mine"


def test_the_table_has_a_row_for_each_process() -> None:
    """People read the table: one header, one line per process, columns aligned."""
    rows = table([(site.plan(8000)[0], 7), (site.plan(8000)[2], 12345)]).splitlines()
    assert rows == [
        "service       version  address                  pid",
        "shop                1  http://127.0.0.1:8000      7",
        "orderService        2  http://127.0.0.1:8002  12345",
    ]


@pytest.mark.parametrize("text", [b"hello\n", b"[]\n", b"{}\n", b'{"joined": true}\n', b"\xff\n", b"\n"])
def test_other_output_is_not_taken_for_a_report(text: bytes) -> None:
    """What an app prints for itself is not a report."""
    assert read_line(text) is None


def test_a_report_survives_the_pipe() -> None:
    """A report that is written is read back as it was."""
    report = Report(joined=True, services={"orderService": [1, 2]})
    assert read_line(line(report).encode()) == report


@pytest.mark.usefixtures("_at_root")
async def test_ready_is_said_when_the_gateway_lists_everybody(
    capsys: pytest.CaptureFixture[str], eventually: Callable[..., object]
) -> None:
    """The table and the ready line come when all have joined; a stop then ends every child."""
    site_ = supervisor(
        pretend("shop", 1, "--says", GATEWAY_SEES_ALL),
        pretend("orderService", 1, "--says", "printed by the app", "--says", JOINED),
        pretend("orderService", 2, "--says", JOINED),
    )
    running = asyncio.create_task(site_.run())
    said = ""

    def ready() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return said.endswith("ready http://127.0.0.1:9/\n")

    await eventually(ready)
    rows = said.splitlines()[1:-1]
    assert [row.split()[:2] for row in rows] == [["shop", "1"], ["orderService", "1"], ["orderService", "2"]]
    pids = [int(row.split()[-1]) for row in rows]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert "ended with" not in capsys.readouterr().err


@pytest.mark.usefixtures("_at_root")
async def test_who_does_not_register_in_time_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """When the bound is over, standard error names exactly who is missing, and the site ends with 1."""
    code = await supervisor(
        pretend("shop", 1, "--says", line(Report(joined=True, services={"orderService": [1]}))),
        pretend("orderService", 1, "--says", JOINED),
        pretend("orderService", 2, "--says", JOINED),
        join_seconds=1.0,
    ).run()
    said = capsys.readouterr()
    assert code == 1
    assert "not registered within 1 s: orderService version 2 (http://127.0.0.1:9/)\n" in said.err
    assert said.out == ""


@pytest.mark.usefixtures("_at_root")
@pytest.mark.parametrize(("exits", "named"), [("3", "exit code 3\n"), ("-9", "exit code -9 (SIGKILL)\n")])
async def test_a_child_that_dies_before_all_have_joined_ends_the_site(
    exits: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A child that ends before the site is ready is named with its exit code; the others end too, with code 1."""
    code = await supervisor(
        pretend("shop", 1, "--says", GATEWAY_SEES_ALL), pretend("orderService", 2, "--exits", exits)
    ).run()
    said = capsys.readouterr()
    assert code == 1
    assert "orderService version 2 (http://127.0.0.1:9/), pid " in said.err
    assert said.err.endswith(f"ended with {named}")
    assert said.out == ""


@pytest.mark.usefixtures("_at_root")
@pytest.mark.parametrize("together", [False, True])
async def test_the_site_does_without_a_service_but_not_without_its_gateway(
    together: bool, capsys: pytest.CaptureFixture[str], eventually: Callable[..., object]
) -> None:
    """A service that ends is named and the site goes on, unless all shall end together; the gateway ends it always."""
    running = asyncio.create_task(
        supervisor(
            pretend("shop", 1, "--says", GATEWAY_SEES_ALL),
            pretend("orderService", 1, "--says", JOINED),
            together=together,
        ).run()
    )
    out, err = "", ""

    def read() -> str:
        nonlocal out, err
        more = capsys.readouterr()
        out, err = out + more.out, err + more.err
        return out

    await eventually(lambda: "ready" in read())
    shop_pid, orders_pid = (int(row.split()[-1]) for row in out.splitlines()[1:-1])
    os.kill(orders_pid, signal.SIGKILL)
    await eventually(lambda: read() and "orderService version 1" in err)
    if not together:
        os.kill(shop_pid, 0)
        assert not running.done()
        os.kill(shop_pid, signal.SIGKILL)
    assert await running == 1
    read()
    assert ("shop version 1" in err) is not together


@pytest.mark.usefixtures("_at_root")
async def test_a_fleet_does_without_one_gateway_but_not_without_both(
    capsys: pytest.CaptureFixture[str], eventually: Callable[..., object]
) -> None:
    """A ready line for each gateway; the site ends with the last of them."""
    running = asyncio.create_task(
        supervisor(
            pretend("shop", 1, "--says", GATEWAY_SEES_ALL),
            pretend("shop", 1, "--says", GATEWAY_SEES_ALL, port=10),
            pretend("orderService", 1, "--says", JOINED),
        ).run()
    )
    out, err = "", ""

    def read() -> str:
        nonlocal out, err
        more = capsys.readouterr()
        out, err = out + more.out, err + more.err
        return out

    await eventually(lambda: read().endswith("ready http://127.0.0.1:9/\nready http://127.0.0.1:10/\n"))
    first, second = (int(row.split()[-1]) for row in out.splitlines()[1:3])
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: read() and "the site goes on without it; to start it again: python -m" in err)
    os.kill(second, 0)
    assert not running.done()
    os.kill(second, signal.SIGKILL)
    assert await running == 1


@pytest.mark.usefixtures("_at_root")
async def test_every_gateway_has_to_list_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    """A fleet is ready when the last of its gateways knows all."""
    code = await supervisor(
        pretend("shop", 1, "--says", GATEWAY_SEES_ALL),
        pretend("shop", 1, "--says", JOINED, port=10),
        pretend("orderService", 1, "--says", JOINED),
        join_seconds=1.0,
    ).run()
    assert code == 1
    assert "not registered within 1 s: orderService version 1" in capsys.readouterr().err


@pytest.mark.usefixtures("_at_root")
async def test_a_stuck_child_is_killed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that does not stop by itself is killed after a while, so that the site always ends."""
    monkeypatch.setattr("examples.supervisor.STOP_SECONDS", 0.2)
    code = await supervisor(
        pretend("shop", 1, "--says", GATEWAY_SEES_ALL, "--stays"), pretend("orderService", 1, "--exits", "1")
    ).run()
    assert code == 1
    assert "shop version 1 (http://127.0.0.1:9/) did not stop within 0.2 s, killing it\n" in capsys.readouterr().err


@pytest.mark.usefixtures("_at_root")
async def test_children_do_not_outlive_a_killed_supervisor(eventually: Callable[..., object]) -> None:
    """When the supervisor is killed, its children see the end of their input and stop."""
    program = (
        "import asyncio; from tests.examples.test_examples_cli import *; "
        "asyncio.run(supervisor(pretend('shop', 1, '--says', GATEWAY_SEES_ALL)).run())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    row = [await process.stdout.readline() for _ in range(3)][1]
    child = int(row.split()[-1])
    os.kill(child, 0)
    process.kill()
    await process.wait()

    def gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{child}/stat").read_text().split(") ")[1].startswith("Z")

    await eventually(gone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_no_error_even_for_a_background_job(number: signal.Signals) -> None:
    """SIGINT and SIGTERM end a program with 0, also when the shell has started it with SIGINT ignored."""
    program = (
        "import asyncio, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "from examples.stopping import run_until_stopped\n"
        "async def main():\n"
        "    print('up', flush=True)\n"
        "    try:\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('good-bye', flush=True)\n"
        "raise SystemExit(run_until_stopped(main()))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert await process.stdout.read() == b"good-bye\n"
    assert await process.wait() == 0
