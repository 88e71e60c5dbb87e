"""Certificates made with openssl(1) for one case, in its folder."""

import os
import subprocess


class Certificates:
    """A CA, and whatever it signs. `path(name)` is name.pem, `key(name)` its key."""

    def __init__(self, folder, ca="ca"):
        self.folder = folder
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-days", "30", "-subj", f"/CN={ca}", "-keyout", self.key(ca), "-out", self.path(ca))
        self._ca = ca

    def path(self, name):
        return os.path.join(self.folder, name + ".pem")

    def key(self, name):
        return os.path.join(self.folder, name + ".key")

    def make(self, name, san="IP:127.0.0.1,DNS:localhost", expired=False):
        """Replaces both files by renaming, as a careful deployment does."""
        request, extensions = self.path(name + ".csr"), self.path(name + ".ext")
        with open(extensions, "w") as out:
            out.write(f"subjectAltName={san}\n")
        fresh = name + ".fresh"
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-subj", f"/CN={name}", "-keyout", self.key(fresh), "-out", request)
        # x509 -req cannot set dates; a negative number of days ends before it begins, in the past.
        self._run("x509", "-req", "-in", request, "-CA", self.path(self._ca), "-CAkey",
                  self.key(self._ca), "-CAcreateserial", "-days", "-1" if expired else "20",
                  "-extfile", extensions, "-out", self.path(fresh))
        os.rename(self.path(fresh), self.path(name))
        os.rename(self.key(fresh), self.key(name))

    @staticmethod
    def _run(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True)
