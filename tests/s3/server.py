"""An object storage for tests: moto's server on a port of 127.0.0.1. With a second number its clock is so many seconds behind, so
that what is put there now is old at once."""

import datetime
import sys

import moto.s3.models
from moto.server import main

port, behind = sys.argv[1], datetime.timedelta(seconds=float(sys.argv[2]))
now = moto.s3.models.utcnow
moto.s3.models.utcnow = lambda: now() - behind
main(["-H", "127.0.0.1", "-p", port])
