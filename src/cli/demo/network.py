import socket

socket.create_connection(("example.com", 443))
