"""A master made by `slapledger init` and started with `slapledger serve`, held against check.py and drills.py.

    tests/tls/run.py [--connections 3000]

Both print a line for each check and count them, as tests/run reads it. What must fail, fails in planted.py and
planted_drills.py. `SLAPLEDGER_BIN` names the binary.
"""

import argparse
import pathlib
import sys

import check
import drills

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from master import Master  # noqa: E402

# Shorter than the usual, so that a run is short too; nothing else of what is drilled is configured.
HEAD_TIMEOUT_SECONDS = 3
MOST_CONNECTIONS = 1024


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=3000)
    options = parser.parse_args(arguments)
    master = Master("--config", "serve.toml")
    (master.folder / "serve.toml").write_text(
        f"[connections]\nhead_timeout_seconds = {HEAD_TIMEOUT_SECONDS}\nhandshake_timeout_seconds = {HEAD_TIMEOUT_SECONDS}\n"
        f"most = {MOST_CONNECTIONS}\n")
    try:
        master.start()
        master.made(master.post_json("v1/computers", {"title": "drilled"}))
        pid = master.process.pid
        address = f"127.0.0.1:{master.port}"
        identity = master.credentials
        bad = check.main([address, "--root", str(master.root), "--name", "localhost", "--name", "127.0.0.1",
                          "--client", identity["cert_file"], identity["key_file"]])
        bad |= drills.main([
            address, "--tls", "--pid", str(pid), "--path", "/healthz", "--connections", str(options.connections),
            "--most-connections", str(MOST_CONNECTIONS), "--head-timeout", str(HEAD_TIMEOUT_SECONDS),
            "--token-file", str(master.token_file)])
        bad |= master.stop() != 0
    except BaseException:
        print(f"--- log of the server\n{master.log()}\n---", flush=True)
        raise
    finally:
        master.stop()
        master.remove()
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
