"""The LeadMaster process: sessions, gate, outbox and the doors to them."""
