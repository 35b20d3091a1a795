"""What a call through the gateway costs, side by side with other ways there: `nox -s bench`.

    server.py       a gateway's answers, encoded beforehand, from a process of its own
    contenders/     the ways to ask, one module each
    worker.py       takes one measure of one contender in a fresh process
    runner.py       starts the server and the workers, contender after contender, round after round
    report.py       minima and ratios as a table, and the targets that they are held to
    installation.py packages and bytes that each contender brings

What is compared is CPU time of the client process, because wall clock time on loopback is mostly the server's.
"""
