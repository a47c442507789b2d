"""Tests of services.chatmail and its hosts, and what runs inside the VM tests."""
