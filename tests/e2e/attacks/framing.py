"""Requests on whose end two parsers could disagree, and what travels beside a request."""

import asyncio

from tests.e2e.attacks.attack import SMUGGLED, Answering, Attack, plain, post, scenario


@scenario
async def row_00_the_end_of_the_connection(attack: Attack) -> None:
    """What is answered to a framing error closes the connection, and what stood behind the error is never read."""
    hello = b"5\r\nhello\r\n0\r\n\r\n"
    for payload in (
        post(b"content-length: 5", b"transfer-encoding: chunked", body=hello),
        post(b"content-length: 5", b"content-length: 6", body=b"hello"),
        post(b"content-length: 99999999999999999999", body=b"hello"),
        post(b"content-length: +5", body=b"hello"),
        post(b"transfer-encoding: gzip, chunked", body=hello),
        post(b"transfer-encoding: xchunked", body=hello),
        post(b"transfer-encoding: chunked, identity", body=hello),
        post(b"transfer-encoding: chunked", body=hello, version=b"1.0"),
        post(b"transfer-encoding: chunked", body=b"zz\r\nhello\r\n0\r\n\r\n"),
        plain(b"x-a : 1"),
    ):
        outcome, is_closed = await attack.until_the_end(payload + SMUGGLED)
        if any(status < 400 for status in outcome.statuses):
            continue  # the server saw one sound request in it; what becomes of that is the business of the other rows
        assert is_closed, outcome
        assert len(outcome.answers) <= 1, outcome
        assert not outcome.whole, outcome


@scenario
async def row_01_both_lengths(attack: Attack) -> None:
    """Content-Length and Transfer-Encoding together are refused, or leave with one framing of our own."""
    both = (b"content-length: 6", b"transfer-encoding: chunked")
    for outcome in await attack.all(
        post(*both, body=b"0\r\n\r\nG"),
        post(*reversed(both), body=b"0\r\n\r\nG"),
        post(b"content-length: 5", b"transfer-encoding: chunked", body=b"0\r\n\r\n"),
    ):
        outcome.check_one()
    for outcome in await attack.all(
        post(*both, body=b"0\r\n\r\n" + SMUGGLED), post(*both, body=b"0\r\n\r\nX" + SMUGGLED)
    ):
        # Granian shows the application the coding alone and reads on behind the last chunk, so there are two requests.
        assert len(outcome.whole) <= (2 if attack.server == "granian" else 1), outcome
        if attack.server != "granian":
            outcome.check_one()


@scenario
async def row_02_two_lengths(attack: Attack) -> None:
    """Two different lengths are refused."""
    for outcome in await attack.all(
        post(b"content-length: 5", b"content-length: 0", body=b"hello"),
        post(b"content-length: 0", b"content-length: 5", body=b"hello"),
        post(b"content-length: 0", b"content-length: 50", body=SMUGGLED),
        post(b"content-length: 5, 0", body=b"hello"),
    ):
        outcome.check_refused()


@scenario
async def row_03_equal_lengths(attack: Attack) -> None:
    """A length that is said twice is refused or said once."""
    for outcome in await attack.all(
        post(b"content-length: 5,5", body=b"hello"),
        post(b"content-length: 5, 5", body=b"hello"),
        post(b"content-length: 5", b"content-length: 5", body=b"hello"),
    ):
        outcome.check_one(b"hello")


@scenario
async def row_04_strange_lengths(attack: Attack) -> None:
    """A length that is not plain digits, or has twenty of them, is refused, and at once."""
    lengths = [b"+5", b"-1", b"0x5", b"1_0", b"", b"5 5", b"5;", b"5.0", b"\xb2", b"99999999999999999999"]
    for outcome in await attack.all(*(post(b"content-length: " + length, body=b"hello") for length in lengths)):
        if outcome.seen:  # an empty value may be dropped as no length at all
            assert outcome.seen[0].body == b"", outcome
            assert outcome.seen[0].all(b"content-length") in ([], [b"0"]), outcome
        else:
            outcome.check_refused()
        assert outcome.answers, outcome


@scenario
async def row_05_strange_codings(attack: Attack) -> None:
    """A coding that is not exactly `chunked` is refused."""
    codings = [b"xchunked", b"chunked, identity", b"identity", b"chunked, chunked", b"\x0bchunked", b"chunked\x0b"]
    codings += [b'"chunked"', b"chunked;q=1", b"chunke", b",", b"", b"x, chunked"]
    body = b"5\r\nhello\r\n0\r\n\r\n"
    payloads = [post(b"transfer-encoding: " + coding, body=body) for coding in codings]
    payloads.append(post(b"transfer-encoding: chunked", b"transfer-encoding: identity", body=body))
    payloads.append(post(b"transfer-encoding: identity", b"transfer-encoding: chunked", body=body))
    payloads.append(post(b"transfer-encoding : chunked", body=body))
    payloads.append(post(b"transfer_encoding: chunked", body=b""))
    for outcome in await attack.all(*payloads):
        if outcome.seen:  # what the server dropped may not come back in another form
            assert all(request.body in (b"", b"hello") for request in outcome.seen), outcome
            assert len(outcome.seen) == 1, outcome
    doubled = await attack(post(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=body))
    doubled.check_one(b"hello")


@scenario
async def row_06_compressed_coding(attack: Attack) -> None:
    """What is compressed inside the framing is refused: we could not frame it again."""
    for coding in (b"gzip, chunked", b"gzip,chunked", b"deflate, chunked"):
        (await attack(post(b"transfer-encoding: " + coding, body=b"5\r\nhello\r\n0\r\n\r\n"))).check_refused()
    two_lines = post(b"transfer-encoding: gzip", b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
    (await attack(two_lines)).check_refused()


@scenario
async def row_07_coding_in_http_1_0(attack: Attack) -> None:
    """HTTP/1.0 has no Transfer-Encoding."""
    outcome = await attack(post(b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", version=b"1.0"))
    outcome.check_refused()


@scenario
async def row_08_broken_lines(attack: Attack) -> None:
    """Bare line ends, folding, a space before the colon, nameless fields and NUL are refused or forwarded clean."""
    lines = [
        b"x-a: 1\nx-b: 2",
        b"x-a: 1\rx-b: 2",
        b"x-a: 1\r\n folded",
        b"x-a: 1\r\n\tfolded: 2",
        b"x-a : 1",
        b": nameless",
        b"x-a: a\x00b",
        b"x\x00a: 1",
        b"x-a: a\x0bb",
        b"x-a: a\x7fb",
        b"x a: 1",
        b"no colon at all",
    ]
    for outcome in await attack.all(*(plain(line) for line in lines)):
        for request in outcome.seen:
            for _, value in request.headers:
                assert not set(value) & {0, 10, 11, 13, 127}, outcome
        assert len(outcome.seen) <= 1, outcome
    # A bare line feed may end a line (RFC 9112 section 2.2), so two may end a head: then these are two requests.
    outcome = await attack(plain(b"x-a: 1\n\nGET %S HTTP/1.1\nhost: site.test"))
    assert outcome.whole in ([], [outcome.target, outcome.target + b"/smuggled"]), outcome
    assert not outcome.whole or attack.server != "uvicorn-httptools", outcome
    first_line_folded = b"GET %P HTTP/1.1\r\n folded: 1\r\nhost: site.test\r\n\r\n"
    (await attack(first_line_folded)).check_one()


@scenario
async def row_09_broken_chunks(attack: Attack) -> None:
    """A body with broken chunks never arrives as if it were whole."""
    bodies = [
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ]
    for body, outcome in zip(
        bodies, await attack.all(*(post(b"transfer-encoding: chunked", body=body) for body in bodies)), strict=True
    ):
        if body.startswith(b"5\n") and outcome.whole:  # h11 takes a bare LF here, and reads what was meant
            outcome.check_one(b"hello")
            continue
        if body.startswith(b"5;a") and outcome.whole:  # an extension ends at any line end for some
            outcome.check_one(outcome.seen[0].body)
            continue
        assert not outcome.whole, (body, outcome)
        assert 200 not in outcome.statuses, (body, outcome)


@scenario
async def row_10_trailers_and_bodies(attack: Attack) -> None:
    """Trailers do not become fields, and a body leaves with its length or not at all, whatever the method."""
    chunks = b"5\r\nhello\r\n0\r\n"
    for trailer in (b"content-length: 50", b"host: evil.test", b"authorization: Basic eA==", b"transfer-encoding: x"):
        body = chunks + trailer + b"\r\n\r\n"
        outcome = await attack(post(b"transfer-encoding: chunked", b"trailer: x", body=body))
        outcome.check_one(b"hello")
        for request in outcome.seen:
            assert request.all(b"host") == [b"site.test"], outcome
            # httptools reports trailers as fields, and uvicorn lists them as such when they come with the head.
            assert request.header(b"authorization") is None or attack.server == "uvicorn-httptools", outcome
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        outcome = await attack(plain(b"content-length: 5", method=method) + b"hello")
        for request in outcome.seen:
            assert (request.body == b"hello") == bool(request.all(b"content-length")), outcome
            assert request.target == outcome.target
        outcome = await attack(plain(b"transfer-encoding: chunked", method=method) + chunks + b"\r\n")
        assert all(request.body == b"hello" for request in outcome.seen), outcome


@scenario
async def row_11_expectations(attack: Attack) -> None:
    """After a final answer no body is read as a request, and an expectation nobody knows is answered in one way."""
    head = post(b"content-length: 1000", b"expect: 100-continue")
    outcome = await attack(head.replace(b"%P", b"%P?answer=413"), then=SMUGGLED, seconds=1.0)
    assert outcome.target + b"/smuggled" not in [request.target for request in outcome.seen], outcome
    assert 200 not in outcome.statuses, outcome
    waits = await attack(post(b"content-length: 5", b"expect: 100-continue", body=b"hello"))
    waits.check_one(b"hello")
    assert waits.statuses == [200], waits
    unknown = await attack(post(b"content-length: 5", b"expect: tea", body=b"hello"))
    unknown.check_one(b"hello")
    assert all(request.header(b"expect") is None for request in attack.service.requests)


@scenario
async def row_11_an_answer_before_the_body(attack: Attack) -> None:
    """After a final answer the body that still comes is not passed on, although the service keeps the connection."""
    assert isinstance(attack.service, Answering)
    target = attack.next_target()
    head = post(b"content-length: %d" % len(SMUGGLED), b"expect: 100-continue").replace(b"%P", b"%P?answer=413-kept")
    reader, writer = await asyncio.open_connection("127.0.0.1", attack.port)
    try:
        writer.write(attack.filled(head, target))
        async with asyncio.timeout(5):
            while not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413"):
                pass
        writer.write(attack.filled(SMUGGLED, target))
        async with asyncio.timeout(5):
            while attack.raw and attack.raw.open:  # noqa: ASYNC110 -- the gateway hangs up on the service
                await asyncio.sleep(0.01)
    finally:
        writer.transport.abort()
    assert attack.service.late == b""
    assert len(attack.seen(target)) == 1


@scenario
async def row_12_upgrades(attack: Attack) -> None:
    """An upgrade that nobody agreed to opens no tunnel: what follows is no request, and no upgrade field travels on."""
    fields = (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13")
    key = b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
    for payload in (
        plain(*fields, key, b"content-length: %d" % len(SMUGGLED)) + SMUGGLED,
        plain(*fields, key) + SMUGGLED,
        post(*fields, key, b"content-length: 5", body=b"hello"),
        plain(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQ"),
    ):
        outcome = await attack(payload)
        # Hypercorn takes a client's wish for HTTP/2 itself; that is between the two.
        assert b" 101 " not in outcome.received or (attack.server == "hypercorn" and b"h2c" in payload), outcome
        for request in outcome.seen:
            assert request.header(b"upgrade") is None, outcome
            assert request.header(b"http2-settings") is None, outcome
        # What no length covers is a request of its own, which the client may well have sent behind the first.
        assert len(outcome.seen) <= (1 if b"content-length" in payload else 2), outcome
    wrong = await attack(plain().replace(b"%P", b"%P?answer=101"))
    assert wrong.statuses == [502], wrong


@scenario
async def row_13_named_by_connection(attack: Attack) -> None:
    """What the client names in Connection goes, and what we say stays."""
    named = (
        b"connection: close, x-forwarded-for, x-forwarded-host, forwarded, via, host, authorization, hydra-path, x-a"
    )
    outcome = await attack(plain(named, b"x-a: 1", b"authorization: Basic eA==", b"x-b: 2"))
    (request,) = outcome.seen
    assert request.header(b"x-a") is None
    assert request.header(b"authorization") is None
    assert request.header(b"x-b") == b"2"
    for ours in (b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"via", b"host", b"hydra-path"):
        assert len(request.all(ours)) == 1, (ours, request)
    length = await attack(post(b"connection: content-length, transfer-encoding", b"content-length: 5", body=b"hello"))
    length.check_one(b"hello")


@scenario
async def row_14_hosts(attack: Attack) -> None:
    """No host, two hosts and hosts that are none are refused; an absolute form never leads elsewhere."""
    refused = [
        b"GET %P HTTP/1.1\r\n\r\n",
        plain(b"host: other.test"),
        plain(b"host: site.test"),
        plain(host=b"a b"),
        plain(host=b"a,b"),
        plain(host=b"user@site.test"),
        plain(host=b"user:secret@site.test"),
        plain(host=b"site.test:99999"),
        plain(host=b"site.test/evil"),
        plain(host=b"site.test#"),
        plain(host=b"[::1"),
        plain(host=b""),
        plain(host=b"\xc3\xa4.test"),
    ]
    for outcome in await attack.all(*refused):
        outcome.check_refused()
        assert outcome.answers, outcome
    for outcome in await attack.all(
        plain(target=b"http://evil.test%P"), plain(target=b"http://evil.test%P", host=b"evil.test")
    ):
        for request in outcome.seen:
            assert request.target == outcome.target, outcome
            assert request.all(b"host") in ([b"site.test"], [b"evil.test"]), outcome


@scenario
async def row_15_methods(attack: Attack) -> None:
    """CONNECT, TRACE and an asterisk are not for services."""
    for outcome in await attack.all(
        plain(method=b"CONNECT"),
        b"CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n" + SMUGGLED,
        plain(method=b"TRACE"),
        plain(target=b"*"),
        plain(method=b"OPTIONS", target=b"*"),
        plain(method=b"G\x00T"),
        plain(method=b"GE(T"),
        b"GET %P\r\n\r\n",
        b"GET %P HTTP/9.9\r\nhost: site.test\r\n\r\n",
        b"GET  %P  HTTP/1.1\r\nhost: site.test\r\n\r\n",
        b"GET %P HTTP/1.1 HTTP/1.1\r\nhost: site.test\r\n\r\n",
    ):
        assert outcome.whole in ([], [outcome.target]), outcome
        assert not any(request.start.startswith((b"CONNECT", b"TRACE")) for request in outcome.seen), outcome
    (await attack(plain(method=b"CONNECT"))).check_refused()
    (await attack(plain(method=b"TRACE"))).check_refused()
