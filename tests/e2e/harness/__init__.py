"""What the end-to-end cases share: processes, sockets, fakes and bounded waiting."""
