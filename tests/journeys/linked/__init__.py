"""Journeys of a linked phone: the real daemon, the real library, and a virtual WhatsApp."""
