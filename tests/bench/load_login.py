"""Login load: connects over TLS, signs in, opens the INBOX, leaves; several at once.

A program of its own, so that its CPU time is not the bench's. Standard input: {"protocol": "imap",
"pop3" or "tls" (no login), "port", "ca", "accounts": [[address, password], ...], "at_once",
"count"}. Prints one JSON object.
"""
import asyncio
import json
import ssl
import sys
import time


async def reply(reader, start):
    while True:
        line = await reader.readline()
        if not line:
            raise EOFError("the server has closed the connection")
        if line.startswith(start):
            return
        if not line.startswith(b"* "):
            raise RuntimeError(line.decode(errors="replace"))


async def imap(reader, writer, address, password):
    await reply(reader, b"* OK")
    for tag, command in ((b"1", 'LOGIN "%s" "%s"' % (address, password)), (b"2", "SELECT INBOX"),
                         (b"3", "LOGOUT")):
        writer.write(tag + b" " + command.encode() + b"\r\n")
        await reply(reader, tag + b" OK")


async def pop3(reader, writer, address, password):
    await reply(reader, b"+OK")
    for command in ("USER " + address, "PASS " + password, "STAT", "QUIT"):
        writer.write(command.encode() + b"\r\n")
        await reply(reader, b"+OK")


async def tls(reader, writer, _address, _password):
    """The handshake and the greeting only."""
    await reader.readline()


async def run(order):
    talk = {"imap": imap, "pop3": pop3, "tls": tls}[order["protocol"]]
    numbers, seconds = iter(range(order["count"])), []

    async def client(own):
        # Accounts of its own, one after the other: a POP3 maildrop is open once (RFC 1939 8).
        for turn, _ in enumerate(numbers):
            # A context of its own: no session is resumed.
            context = ssl.create_default_context(cafile=order["ca"])
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", order["port"], ssl=context,
                                                           server_hostname="127.0.0.1")
            await talk(reader, writer, *own[turn % len(own)])
            seconds.append(time.monotonic() - began)
            writer.close()

    began, spent = time.monotonic(), time.process_time()
    at_once, accounts = order["at_once"], order["accounts"]
    await asyncio.gather(*(client(accounts[k::at_once]) for k in range(at_once)))
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - spent,
            "each": sorted(seconds)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
