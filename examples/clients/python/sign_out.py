"""Takes back the token of RIVULET_TOKEN: it opens nothing any more, and what it had opened is closed within a second."""

from gateway import call

call("POST", "auth/revoke")
