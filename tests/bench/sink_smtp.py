"""A server that takes every message and counts: what a relay is measured against.

A program of its own, so that its CPU time is not the bench's. Prints {"port"}; for each line of
standard input {"messages"}; ends when that is closed.
"""
import asyncio
import json
import sys


class Session(asyncio.Protocol):
    messages = 0

    def connection_made(self, transport):
        self.transport, self.rest, self.data = transport, b"", False
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data):
        out, self.rest = [], self.rest + data
        while True:
            end = b"\r\n.\r\n" if self.data else b"\r\n"
            at = self.rest.find(end)
            if at < 0:
                break
            line, self.rest = self.rest[:at], self.rest[at + len(end):]
            out.append(self.finish() if self.data else self.command(line[:4].upper()))
        self.transport.write(b"".join(out))

    def finish(self):
        self.data = False
        Session.messages += 1
        return b"250 2.0.0 taken\r\n"

    def command(self, verb):
        if verb == b"EHLO":
            return (b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                    b"250 ENHANCEDSTATUSCODES\r\n")
        if verb == b"DATA":
            self.data = True
            return b"354 go on\r\n"
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Session, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while await questions.readline():
        print(json.dumps({"messages": Session.messages}), flush=True)


asyncio.run(main())
