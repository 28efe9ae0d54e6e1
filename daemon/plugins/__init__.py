"""The built-in plugins; like any other plugin, they import only daemon.api of the product."""
