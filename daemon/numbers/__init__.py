"""Phone numbers: their budgets, the breaker of their new chats, and their bans."""
