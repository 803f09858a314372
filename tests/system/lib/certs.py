# SPDX-License-Identifier: BSD-2-Clause
"""A certificate authority for one test, by way of the openssl command."""

import os
import ssl
import subprocess

import daemon


def _openssl(*args):
    done = subprocess.run([daemon.need("openssl"), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode:
        raise AssertionError("openssl %s: %s" % (" ".join(args), done.stderr))


class Authority:
    """Its certificate is the file .pem. Everything lies in a folder of its own, which any user may read."""

    def __init__(self, name="test authority"):
        self.folder = daemon.folder()
        os.chmod(self.folder, 0o755)
        self.pem, self.key = self._paths("ca")
        _openssl("req", "-x509", *self._new_key("ec"), "-keyout", self.key, "-out", self.pem, "-subj", "/CN=" + name,
                 "-days", "30", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _paths(self, name):
        return os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")

    @staticmethod
    def _new_key(kind):
        if kind == "rsa":
            return ["-newkey", "rsa:2048", "-nodes"]
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def issue(self, name="server", names=("localhost", "turn.example.org"), ips=("127.0.0.1", "::1"), days=30, kind="ec",
              extensions=()):
        """A certificate for these names, good for a server and for a client: (path, path of the key). -1 days make
        one that has expired. extensions: more lines for openssl. The same name again replaces the files."""
        pem, key = self._paths(name)
        request, extra = os.path.join(self.folder, name + ".csr"), os.path.join(self.folder, name + ".ext")
        _openssl("req", "-new", *self._new_key(kind), "-keyout", key, "-out", request, "-subj", "/CN=" + name)
        with open(extra, "w", encoding="ascii") as f:
            f.write("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                    "subjectAltName=%s\n" % ",".join(["DNS:" + n for n in names] + ["IP:" + ip for ip in ips]))
            f.writelines(line + "\n" for line in extensions)
        _openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-out", pem,
                 "-days", str(days), "-extfile", extra)
        os.chmod(key, 0o644)  # a daemon that gave up root reads it too
        return pem, key

    def context(self, version=None, certificate=None, alpn=None):
        """An ssl.SSLContext of a client that trusts this authority. version: 2 or 3, for TLS 1.2 or 1.3 only.
        certificate: what issue() gave."""
        context = ssl.create_default_context(cafile=self.pem)
        if version:
            context.minimum_version = context.maximum_version = \
                ssl.TLSVersion.TLSv1_3 if version == 3 else ssl.TLSVersion.TLSv1_2
        if certificate:
            context.load_cert_chain(*certificate)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def settings(self, certificate=None):
        """The group `tls` of a configuration."""
        pem, key = certificate or self.issue()
        return {"certificate": pem, "key": key}
