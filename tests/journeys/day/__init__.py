"""A working day over the virtual WhatsApp, and a checker that knows nothing of our code."""
