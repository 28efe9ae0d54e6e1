"""The units, judged by systemd's own tools."""
