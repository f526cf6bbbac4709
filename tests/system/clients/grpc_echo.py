"""gRPC inside CONNECT; its library reads the proxy from the environment.

usage: grpc_echo.py serve ADDRESS DIR        on port 443, with DIR/web.pem
       grpc_echo.py call HOST DENIED-HOST    one call, a stream of 50, 8 MiB there and back; and a host that is denied
"""
import os
import sys
from concurrent import futures

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def serve(address, top):
    def read(name):
        with open(f"{top}/{name}", "rb") as f:
            return f.read()

    server = grpc.server(futures.ThreadPoolExecutor(4), options=UNLIMITED)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("lab.Echo", {
        "One": grpc.unary_unary_rpc_method_handler(lambda data, _: data),
        "Stream": grpc.stream_stream_rpc_method_handler(lambda all_data, _: all_data),
    })])
    server.add_secure_port(f"{address}:443", grpc.ssl_server_credentials([(read("web.key"), read("web.pem"))]))
    server.start()
    server.wait_for_termination()


def call(host, denied):
    with open("/etc/ssl/certs/ca-certificates.crt", "rb") as f:
        trusted = grpc.ssl_channel_credentials(f.read())
    with grpc.secure_channel(f"{host}:443", trusted, options=UNLIMITED) as channel:
        one, stream = channel.unary_unary("/lab.Echo/One"), channel.stream_stream("/lab.Echo/Stream")
        assert one(b"hello", timeout=20) == b"hello"
        assert list(stream((b"%d" % i for i in range(50)), timeout=20)) == [b"%d" % i for i in range(50)]
        data = os.urandom(8 << 20)
        assert one(data, timeout=20) == data
    with grpc.secure_channel(f"{denied}:443", trusted) as channel:
        try:
            channel.unary_unary("/lab.Echo/One")(b"hello", timeout=3)
            raise AssertionError("a denied host was reached")
        except grpc.RpcError as e:
            print("denied:", e.code(), e.details())
    print("grpc ok")


{"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
