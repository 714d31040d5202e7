"""The Persona API: the wire, the client and the embedded server."""
