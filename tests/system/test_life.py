# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's life: start, mistakes, privileges, signals, end."""

import contextlib
import ctypes
import json
import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import daemon
import netns
import stun
import tap
import websocket
from daemon import config_text, Daemon, folder, free_port, run_daemon, settings


def write(text):
    path = os.path.join(folder(), "turnpike.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def kept_waiting(pid):
    """Seconds in which its main thread, and that of the others which had to wait most, were ready and had no processor."""
    waits = {}
    for task in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(FileNotFoundError), open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
            waits[int(task)] = int(f.read().split()[1]) / 1e9
    return waits.pop(pid, 0) + max(waits.values(), default=0)


def test_start_time():
    """it answers within 100 ms of its start (printed), less what a loaded machine had it wait for a processor"""
    times, end = [], time.monotonic() + daemon.PATIENCE
    while len(times) < 5 or not tap.SANITIZED and min(times) >= 100 and time.monotonic() < end:
        with Daemon() as d:
            times.append((d.start_seconds - kept_waiting(d.pid)) * 1000)
    tap.diag("first answer after %s ms" % ", ".join("%.0f" % t for t in times[-20:]))
    if not tap.SANITIZED:
        tap.check(min(times) < 100, "the fastest of %d starts took %.0f ms" % (len(times), min(times)))


def test_sigterm_with_allocations():
    """SIGTERM with 1,000 allocations, on UDP and TCP, with permissions and channels: exit 0"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200:
        raise tap.Skip("only %d open files allowed" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tap.cleanup(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    with Daemon(log={"level": "notice"}) as d:
        before = d.rss()
        for n in range(1000):
            c = d.client("tcp" if n % 5 == 0 else "udp")
            c.allocate()
            c.bind(("127.0.0.2", 4000), 0x4000)
        tap.diag("1,000 allocations: +%d KiB" % (d.rss() - before))
        began = time.monotonic()
        d.stop()
        tap.diag("ended after %.0f ms" % ((time.monotonic() - began) * 1000))
        d.start()  # the same port, at once


def test_sigterm_at_once():
    """SIGTERM right after the first answer, and SIGINT: exit 0 too"""
    for n in range(20):
        d = Daemon()
        if n % 2:
            d.stop()
        else:
            os.kill(d.pid, signal.SIGINT)
            tap.equal(d.process.wait(daemon.PATIENCE), 0, "exit code after SIGINT")


def test_sigterm_under_load():
    """SIGTERM while packets flow: exit 0"""
    with Daemon() as d, client.udp_socket("127.0.0.2") as peer:
        clients = [d.client(t) for t in ("udp", "tcp")]
        for c in clients:
            c.allocate()
            c.bind(client.name_of(peer), 0x4000)
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            for c in clients:
                c.send_channel(0x4000, b"x" * 1000)
                peer.sendto(b"y" * 1000, c.relayed[0])


def test_port_in_use():
    """a port in use: the message names it, exit code 1, also when another turnpiked has it"""
    for kind, name in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
        port = free_port()
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            listen = [{"transport": name, "address": "127.0.0.1", "port": port}]
            code, out, err = run_daemon("-c", write(config_text(settings(port, listen=listen))))
            tap.equal(code, 1, "exit code (%s)" % err)
            tap.check(str(port) in out + err and name in (out + err).lower(), "%s port %d is not named: %s" % (name, port, err))
            tap.check("in use" in (out + err).lower(), "does not say why: %s" % err)
    with Daemon() as d:
        code, out, err = run_daemon("-c", d.config)
        tap.equal(code, 1, "exit code of a second daemon on the same port")
        tap.check(str(d.port) in out + err, "port %d is not named: %s" % (d.port, err))
        tap.check(d.answers(), "the first daemon was disturbed")


MISTAKES = (
    ("workers = -1;", "workers"), ("workers = 257;", "workers"), ("workers = \"two\";", "workers"), ("realm = 5;", "realm"), ("relm = \"x\";", "relm"),
    ("limits = { lifetime = 0; };", "limits.lifetime"), ("limits = { permissions = 99999999; };", "limits.permissions"),
    ("listen = ( { transport = \"sctp\"; } );", "listen"), ("listen = ( { transport = \"udp\"; port = 70000; } );", "port"),
    ("relay = { ports = [ 5, 4 ]; };", "relay.ports"), ("relay = { deny = [ \"10.0.0.0/33\" ]; };", "relay.deny"),
    ("relay = { addresses = [ \"example.org\" ]; };", "relay.addresses"), ("auth = { stores = [ \"mysql:x\" ]; };", "auth.stores"),
    ("log = { level = \"loud\"; };", "log.level"), ("realm \"a\";", None), ("}", None),
)


def test_mistakes():
    """a mistake in the configuration: file:line: key, exit code 2, before any socket is opened"""
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        # Where a socket were opened first, the complaint would be about this port.
        taken.bind(("127.0.0.1", port))
        listen = "listen = ( { transport = \"udp\"; address = \"127.0.0.1\"; port = %d; } );\n" % port
        for text, key in MISTAKES:
            body = ("" if text.startswith("realm") else "realm = \"example.org\";\n") + "\n" + \
                   ("" if text.startswith("listen") else listen)
            path = write(body + text + "\n")
            line = body.count("\n") + 1
            for args in (("-c", path), ("-c", path, "--check")):
                code, out, err = run_daemon(*args)
                tap.equal(code, 2, "exit code for %r %r: %s" % (text, args[2:], out + err))
                tap.check("in use" not in err, "a socket was opened for %r: %s" % (text, err))
                tap.check(re.search(r"%s:\d+: " % re.escape(path), err), "no file:line in %r" % err)
                if key:
                    tap.check("%s:%d: " % (path, line) in err, "wrong line in %r, it is %d" % (err, line))
                    tap.check(key in err, "%s is not named in %r" % (key, err))
        code, _, err = run_daemon("-c", path + ".absent")
        tap.equal(code, 2, "exit code without the file")
        tap.check(".absent" in err, "the file is not named: %s" % err)
        for args in (("--nonsense",), ("stray",), ("--dev", "-c", path)):
            tap.equal(run_daemon(*args)[0], 2, "exit code of %r" % (args,))


def test_all_mistakes_at_once():
    """every mistake is told, not the first one only"""
    path = write("realm = \"example.org\";\nworkers = -1;\nlog = { level = \"loud\"; };\nnonsense = 1;\n")
    code, _, err = run_daemon("--check", "-c", path)
    tap.equal(code, 2, "exit code")
    for n, key in ((2, "workers"), (3, "log.level"), (4, "nonsense")):
        tap.check("%s:%d: %s" % (path, n, key) in err, "line %d is not in %r" % (n, err))


def test_check():
    """--check of a sound file: exit code 0, and no socket"""
    with Daemon() as d:
        code, out, err = run_daemon("--check", "-c", d.config)
        tap.equal((code, err), (0, ""), "exit code and stderr")


def test_print_config():
    """--print-config shows all of it and no secret, and can be read again"""
    secrets = ["north star", "pass word one", "redispass"]
    auth = {"users": [{"name": "user", "password": secrets[1]}, {"name": "keyed", "key": "0123456789abcdef" * 2}],
            "secrets": [secrets[0]], "stores": ["redis://:%s@127.0.0.1:1/0" % secrets[2]], "nonce_key": "ab" * 32}
    path = write(config_text(settings(free_port(), auth=auth)))
    code, out, err = run_daemon("--print-config", "-c", path)
    tap.equal((code, err), (0, ""), "exit code and stderr")
    for secret in secrets + ["0123456789abcdef", "ab" * 32]:
        tap.check(secret not in out, "%r is shown" % secret)
    for key in ("realm", "example.org", "nonce_lifetime", "lifetime_max", "tcp_backlog", "user"):
        tap.check(key in out, "%s is missing" % key)
    code, _, err = run_daemon("--check", "-c", write(out))
    tap.diag("what it prints %s" % ("checks as sound" if code == 0 else "has to be completed: %s" % err.strip()[:300]))


def test_set_overrides():
    """--set overrides one key; a mistake in it is told"""
    with Daemon(args=["--set", "limits.lifetime=700"]) as d, d.client() as c:
        tap.equal(c.try_allocate().lifetime, 700, "LIFETIME")
    code, _, err = run_daemon("--check", "-c", write("realm = \"x\";\n"), "--set", "workers=many")
    tap.equal(code, 2, "exit code")
    tap.check("workers" in err, "the key is not named: %s" % err)


def test_dev():
    """--dev starts with no file, prints iceServers to paste, and lets that user relay on this machine; its files go with it"""
    port = free_port()
    listen = "( %s )" % ", ".join("{ transport = \"%s\"; address = \"127.0.0.1\"; port = %d; }" % (t, port) for t in ("udp", "tcp"))
    home = folder()
    page = free_port()
    has_page = "port = 8080;" in run_daemon("--dev", "--print-config")[1]  # built with the signaling server
    with subprocess.Popen([daemon.TURNPIKED, "--dev", "--set", "listen=" + listen, "--set", "signal.port=%d" % (page if has_page else 0)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=home,
                          env={**os.environ, "TMPDIR": home}, preexec_fn=daemon.die_with_parent) as child:
        tap.cleanup(child.kill)
        out = ""
        while "iceServers" not in out or not out.rstrip().endswith(home) and "turnpikectl" not in out:
            line = child.stdout.readline()
            tap.check(line, "ended: %s" % out)
            out += line
        if has_page:
            tap.check("http://127.0.0.1:%d/" % page in out, "the page in %r" % out)
            tap.equal(websocket.fetch(page, "/").status, 200, "the page")
        urls = re.findall(r"turn:127\.0\.0\.1:%d\?transport=(?:udp|tcp)" % port, out)
        tap.equal(len(urls), 2, "URLs in %r" % out)
        user = re.search(r"username: \"([^\"]+)\"", out).group(1)
        credential = re.search(r"credential: \"([^\"]+)\"", out).group(1)
        for transport in ("udp", "tcp"):
            with client.Client(("127.0.0.1", port), transport, user=user, password=credential) as c, \
                    client.udp_socket("127.0.0.1") as peer:
                c.allocate()
                c.bind(client.name_of(peer), 0x4000)
                c.send_channel(0x4000, b"dev")
                tap.equal(peer.recv(100), b"dev", "at the peer")
        tap.check(not client_from_elsewhere(port), "listens beyond loopback")
        child.terminate()
        _, err = child.communicate(timeout=daemon.PATIENCE)
        tap.equal(child.returncode, 0, "exit code: %s" % err[-2000:])
    tap.equal(os.listdir(home), [], "files left behind")


def client_from_elsewhere(port):
    """Whether a wildcard or foreign address is bound on that port, from /proc."""
    found = []
    for name in ("udp", "tcp"):
        with open("/proc/net/" + name, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                host, hexport = line.split()[1].split(":")
                if int(hexport, 16) == port and not host.endswith("7F"):
                    found.append(host)
    return found


def test_privileges():
    """started as root with user set: all ids are dropped, it still relays and reloads, and logs go on"""
    if os.geteuid():
        raise tap.Skip("only root has privileges to drop")
    nobody = pwd.getpwnam("nobody")
    with Daemon(user="nobody") as d:
        for field, want in (("Uid", nobody.pw_uid), ("Gid", nobody.pw_gid)):
            tap.equal(d.status(field).split(), [str(want)] * 4, field)
        tap.equal(int(d.status("CapEff"), 16), 0, "effective capabilities")
        tap.equal(int(d.status("CapPrm"), 16), 0, "permitted capabilities")
        groups = d.status("Groups").split()
        tap.check("0" not in groups, "still in the group root: %r" % groups)
        for task in os.listdir("/proc/%d/task" % d.pid):
            with open("/proc/%d/task/%s/status" % (d.pid, task), encoding="ascii") as f:
                tap.check(re.search(r"Uid:\s+%d\s+%d" % (nobody.pw_uid, nobody.pw_uid), f.read()), "thread %s" % task)
        with d.client() as c, client.udp_socket("127.0.0.2") as peer:
            c.allocate()
            c.bind(client.name_of(peer), 0x4000)
            c.send_channel(0x4000, b"x")
            tap.equal(peer.recv(100), b"x", "at the peer")


def test_no_such_account():
    """a user or group that this host does not have: file:line, exit code 2, --check says the same; a log that cannot be opened: the line, too"""
    text = "realm = \"example.org\";\n"
    for add, line, key in (("user = \"no-such-user\";\n", 2, "user"), ("user = \"nobody\";\ngroup = \"no-such-group\";\n", 3, "group")):
        path = write(text + add)
        for args in (("-c", path), ("-c", path, "--check")):
            code, out, err = run_daemon(*args)
            tap.equal((code, out), (2, ""), "exit code and output of %r: %s" % (args, err))
            tap.check(err.startswith("%s:%d: %s: " % (path, line, key)) and "no-such-" + key in err, "%r" % err)
            tap.equal(len(err.splitlines()), 1, "lines about it: %s" % err)
    path = write(text + "log = { target = \"file:/nonexistent/folder/log\"; };\n")
    code, _, err = run_daemon("-c", path)
    tap.equal((code, err), (1, "%s:2: log.target: file:/nonexistent/folder/log: No such file or directory\n" % path), "code and message")


def test_no_thread():
    """a thread that cannot be made: told, with what to do, exit code 1, and nothing is left running"""
    if os.geteuid():
        raise tap.Skip("only root can become the user whose limit is reached")

    def limited():
        daemon.die_with_parent()
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    path = write(config_text(settings(free_port(), user="nobody")))
    done = subprocess.run([daemon.TURNPIKED, "-c", path], capture_output=True, text=True, timeout=30 * tap.SLOW, check=False, preexec_fn=limited)
    tap.equal(done.returncode, 1, "exit code: %s" % done.stderr)
    tap.check("cannot start a thread for worker 1 of 2: " in done.stderr and "workers" in done.stderr, done.stderr)


def test_closed_descriptors():
    """started without standard input, output and error: no socket takes their places, where log lines would go to clients"""
    port = free_port()

    def closed():
        daemon.die_with_parent()
        for fd in range(3):
            os.close(fd)
    with subprocess.Popen([daemon.TURNPIKED, "-c", write(config_text(settings(port)))], preexec_fn=closed) as child:
        tap.cleanup(child.kill)
        end = time.monotonic() + daemon.PATIENCE
        while True:
            with client.Client(("127.0.0.1", port), timeout=0.2) as c:
                msg = c.binding()
            if msg:
                break
            tap.check(time.monotonic() < end and child.poll() is None, "no answer")
        for fd in range(3):
            tap.equal(os.readlink("/proc/%d/fd/%d" % (child.pid, fd)), "/dev/null", "descriptor %d" % fd)
        child.terminate()
        tap.equal(child.wait(daemon.PATIENCE), 0, "exit code")


class SilentNames:
    """A network namespace, and a view of the files, in which name servers never answer."""

    MS_BIND, MS_REC, MS_PRIVATE, CLONE_NEWNS = 0x1000, 0x4000, 0x40000, 0x20000

    def __init__(self):
        netns.need()
        if not os.path.exists("/etc/resolv.conf"):
            raise tap.Skip("no /etc/resolv.conf")
        self.ns = netns.Namespace()
        self.inside = self.ns.inside
        self.known = None
        self.resolv = os.path.join(folder(), "resolv.conf")
        with open(self.resolv, "w", encoding="ascii") as f:
            f.write("nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\noptions timeout:30 attempts:5\n")
        with self.ns.inside():
            self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind(("0.0.0.0", 53))
        tap.cleanup(self.sink.close)

    def hosts(self, text):
        """The names that are known without a name server, of which none is left."""
        self.known = os.path.join(folder(), "hosts")
        with open(self.known, "w", encoding="ascii") as f:
            f.write(text)
        with open(self.resolv, "w", encoding="ascii") as f:
            f.write("options timeout:1\n")
        return self

    def enter(self):
        self.ns.enter()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(self.CLONE_NEWNS) or libc.mount(b"none", b"/", None, self.MS_REC | self.MS_PRIVATE, None) or \
                libc.mount(self.resolv.encode(), b"/etc/resolv.conf", None, self.MS_BIND, None) or \
                self.known and libc.mount(self.known.encode(), b"/etc/hosts", None, self.MS_BIND, None):
            raise OSError(ctypes.get_errno(), "mount")


def test_silent_name_servers():
    """name servers that never answer for the name of a store: start, reload and end do not wait for them, and it is told"""
    with Daemon(netns=SilentNames(), auth={"stores": ["redis://redis.example.org:6379", "redis+sentinel://a.example.org,b.example.org/main"]}) as d:
        for name in ("redis", "a", "b"):
            d.wait_log("%s.example.org cannot be resolved" % name)
        with d.client() as c:
            c.allocate()
            threads = len(os.listdir("/proc/%d/task" % d.pid))
            os.kill(d.pid, signal.SIGHUP)
            d.wait_log("configuration reloaded")
            tap.equal(c.refresh(), 600, "Refresh after the reload")
            tap.equal(len(os.listdir("/proc/%d/task" % d.pid)), threads, "threads, one of which is for each name")
        os.kill(d.pid, signal.SIGHUP)


def test_names_without_a_name_server():
    """a store whose name is in /etc/hosts, on a host without a name server: found"""
    silent = SilentNames().hosts("127.0.0.1 localhost\n127.0.0.1 redis.internal\n")
    with Daemon(netns=silent, auth={"stores": ["redis://redis.internal:6379"]}) as d:
        d.wait_log("redis redis.internal:6379: Connection refused")
        tap.check("cannot be resolved" not in d.read_log(), d.read_log())


def test_log_file_after_privileges():
    """started as root with user set: the log file is the user's, so that SIGHUP can open it again, rotated or not"""
    if os.geteuid():
        raise tap.Skip("only root has privileges to drop")
    home = folder()
    os.chmod(home, 0o755)
    os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
    path = os.path.join(home, "log")

    def reloads():
        with open(path, encoding="utf-8") as f:
            text = f.read()
        tap.check("cannot" not in text and "log.target" not in text, text)
        return text.count("configuration reloaded")
    with Daemon(user="nobody", log={"target": "file:" + path}) as d:
        for rotated in (False, True):
            if rotated:
                os.rename(path, path + ".1")
            os.kill(d.pid, signal.SIGHUP)
            end = time.monotonic() + 30 * tap.SLOW
            while not os.path.exists(path) or not reloads():
                tap.check(time.monotonic() < end, "rotated %s: nothing in the log" % rotated)
                time.sleep(0.02)


def test_redis_away_at_start():
    """a Redis that is not reachable at start is logged and retried; the other stores work meanwhile"""
    port = free_port()
    with Daemon(auth={"users": [{"name": "user", "password": "pass"}], "stores": ["redis://127.0.0.1:%d/0" % port]}) as d:
        with d.client() as c:
            c.allocate()
        d.wait_log(str(port))
        with d.client(user="alice", password="x") as c:
            tap.equal(c.try_allocate().code, 500, "a user that may be in Redis")
        redis = daemon.Redis(port)
        daemon.add_user(redis.uri, "alice", "secret")
        end = time.monotonic() + 30 * tap.SLOW
        while True:
            with d.client(user="alice", password="secret") as c:
                if c.try_allocate().code is None:
                    break
            tap.check(time.monotonic() < end, "Redis was not found after it came up")
            time.sleep(0.1)


def test_reload():
    """SIGHUP takes a changed file over and live allocations survive; a mistake in it is logged and the old one stays"""
    with Daemon() as d, d.client() as c:
        c.allocate()
        path = d.config
        text = open(path, encoding="utf-8").read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "workers = \"x\";\n")
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("workers")
        tap.equal(c.refresh(), 600, "Refresh after a mistake")
        changed = settings(d.port, auth={"users": [{"name": "user", "password": "pass"}, {"name": "new", "password": "new"}]})
        with open(path, "w", encoding="utf-8") as f:
            f.write(config_text(changed))
        with d.client(user="new", password="new") as n:
            tap.equal(n.try_allocate().code, 401, "before")
        os.kill(d.pid, signal.SIGHUP)
        end = time.monotonic() + 30 * tap.SLOW
        while True:
            with d.client(user="new", password="new") as n:
                if n.try_allocate().code is None:
                    break
            tap.check(time.monotonic() < end, "the new user is not taken over")
            time.sleep(0.05)
        tap.equal(c.refresh(), 600, "Refresh after the reload")


def test_reload_bad_store():
    """a reload with a store that cannot be opened: told, nobody takes it over, and it is not called a success"""
    with Daemon() as d:
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(d.port, auth={"users": [{"name": "new", "password": "new"}],
                                                       "stores": ["sqlite:/nonexistent/folder/users.db"]})))
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("the old configuration stays")
        tap.check("configuration reloaded" not in d.read_log(), "called a success")
        with d.client() as c:
            c.allocate()


def test_log_lines():
    """one line an event, with session and client; no password, no key, no nonce"""
    with Daemon() as d, d.client() as c, client.udp_socket("127.0.0.2") as peer:
        c.allocate()
        c.bind(client.name_of(peer), 0x4000)
        c.refresh(0)
        with d.client(user="user", password="hunter2") as bad:
            bad.try_allocate()
        d.wait_log("allocation deleted")
        log = d.read_log()
        lines = [line for line in log.splitlines() if "%s:%d" % c.local in line]
        tap.check(len(lines) >= 2, "events of the client: %r" % lines)
        tap.check(all("session=" in line for line in lines if "alloc" in line), "no session: %r" % lines)
        for secret in ("hunter2", c.key().hex(), c.nonce.decode(), "pass\""):
            tap.check(secret not in log, "%r is in the log" % secret)
    with Daemon(log={"level": "info", "format": "json", "target": "stderr"}) as d, d.client() as c:
        c.allocate()
        c.refresh(0)
        d.wait_log("%s:%d" % c.local)
        for line in d.read_log().split("\n")[:-1]:  # the last one may be half written
            json.loads(line)


def test_log_refusals():
    """whom a limit turns away is told at info: the user of a refused request, the source of a connection too many"""
    with Daemon(workers=1, limits={"user_allocations": 1, "tcp_connections": 1}, log={"level": "info"}) as d, d.client() as c:
        c.allocate()
        with d.client() as second, d.client("tcp") as kept:
            second.try_allocate()
            d.wait_log("client=%s:%d Allocate of user user refused: 486" % second.local)
            kept.binding()
            with contextlib.suppress(OSError), d.client("tcp") as more:
                more.binding()
            d.wait_log("connection refused: its source has limits.tcp_connections already")


def test_log_addresses():
    """at start the log says where it listens, what it relays from, and which of that is not public"""
    with Daemon(relay={"external": ["127.0.0.1/8.8.4.4"], "ports": [50000, 50999]}) as d:
        log = d.read_log()
    tap.check("listening on udp *:%d, tcp *:%d\n" % (d.port, d.port) in log, "listeners in\n" + log)
    tap.check("relaying from 127.0.0.1 (clients are told 8.8.4.4), ::1, ports 50000 to 50999\n" in log, "relays in\n" + log)
    tap.check("::1 is not a public address" in log and "127.0.0.1 is not" not in log, "what is not public in\n" + log)


def test_descriptors_run_out():
    """T19: out of file descriptors: 508 for new allocations, the old ones live, and it recovers"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Daemon() as d:
        keep = d.client()
        keep.allocate()
        used = max(int(n) for n in os.listdir("/proc/%d/fd" % d.pid)) + 1
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (used + 20, hard))
        clients = [d.client() for _ in range(60)]
        codes = [c.try_allocate().code for c in clients]
        tap.check(set(codes) <= {None, 508} and 508 in codes, "codes: %r" % set(codes))
        tap.check(codes.count(None) >= 10, "only %d got in" % codes.count(None))
        for _ in range(30):
            try:
                with d.client("tcp", timeout=0.05) as c:
                    c.exchange(stun.build(stun.BINDING), timeout=0.02)
            except OSError:
                pass
        tap.equal(keep.refresh(), 600, "Refresh")
        for c, code in zip(clients, codes):
            if code is None:
                c.refresh(0)
        end = time.monotonic() + daemon.PATIENCE
        while (code := d.client().try_allocate().code) == 508:  # connections that waited come first, and go
            tap.check(time.monotonic() < end, "no allocation once descriptors are free")
            time.sleep(0.05)
        tap.equal(code, None, "code once descriptors are free")
        with d.client("tcp") as c:
            tap.check(c.binding() is not None, "no answer over TCP afterwards")


def test_accept_without_descriptors():
    """T19: a connection that waits while no descriptor is free does not make the server spin, and is served later"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Daemon() as d:
        used = max(int(n) for n in os.listdir("/proc/%d/fd" % d.pid)) + 1
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (used, hard))
        with d.client("tcp") as c:
            d.wait_log("cannot accept")
            began = time.monotonic()
            time.sleep(1.5)
            count, took = d.read_log().count("cannot accept"), time.monotonic() - began
            tap.check(count <= 2.5 + took, "tried %d times in %.1f s" % (count, took))
            resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (used + 20, hard))
            tap.check(c.binding() is not None, "no answer once there are descriptors")


if __name__ == "__main__":
    tap.main()
