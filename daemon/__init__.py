"""The LeadMaster daemon: sessions, gate, outbox, HTTP interface and command line."""
