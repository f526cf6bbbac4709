"""Runs inside a container: tries what no program in one may do. A line each, THROUGH or held; at the end two controls."""
import ctypes
import socket
import threading

libc = ctypes.CDLL(None, use_errno=True)


def tried(what, through):
    print(what, "THROUGH" if through else "held")


def opened(*what):
    try:
        socket.socket(*what).close()
    except OSError:
        return False
    return True


tried("vsock", opened(40, socket.SOCK_STREAM))
tried("raw", opened(socket.AF_INET, socket.SOCK_RAW, 1))
tried("userns", libc.unshare(0x10000000) == 0)
tried("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
tried("uring", libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0)
thread = threading.Thread(target=lambda: print("thread made"))
thread.start()
thread.join()
print("control made" if opened(socket.AF_INET, socket.SOCK_STREAM) else "no control")
