"""The HTTP interface: the two servers, the REST resources, the WebSocket and the console."""
