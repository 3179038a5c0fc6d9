import time

import pytest

from hydra_asgi.service.document_body import body_of


@pytest.mark.parametrize(
    ("html", "body"),
    [
        ("<p>x</p>", "<p>x</p>"),
        ("", ""),
        ("<htmlx><body>x</body>", "<htmlx><body>x</body>"),
        ("<p><body>x</body>", "<p><body>x</body>"),
        ("<!doctype html><html><body> a <b>c</b> </body></html>", " a <b>c</b> "),
        (" <!-- <body> --> \n<!DOCTYPE html><BODY class='>' id=\">\" x>a</BODY >\n", "a"),
        ("<html><head><script>'<body>'</script><title><body></title></head><body>a</body></html>", "a"),
        ("<html><!-- <body> --><body>a</body></html>", "a"),
        ("<html lang=de><body>a", "a"),
        ("<html><body>a</body>b</body>", "a</body>b"),
        ("<!doctype html><title>t</title><p>no body tag", "<!doctype html><title>t</title><p>no body tag"),
        ("<html><tbody>x</tbody>", "<html><tbody>x</tbody>"),
        ("<html><script><body>a</body>", "<html><script><body>a</body>"),
        ("<html><body class='>a</body>", "<html><body class='>a</body>"),
    ],
)
def test_body(html: str, body: str) -> None:
    """The inside of a whole document is its body; what is no document, or has no clear body, stays untouched."""
    assert body_of(html) == body


@pytest.mark.parametrize("piece", ["<body ", "<!--", "<script>", "<body a='", "</body", " "])
def test_linear(piece: str) -> None:
    """Two megabytes of anything are read quickly."""
    started = time.process_time()
    body_of("<!doctype html>" + piece * (2_000_000 // len(piece)))
    body_of(piece * (2_000_000 // len(piece)))
    assert time.process_time() - started < 2
