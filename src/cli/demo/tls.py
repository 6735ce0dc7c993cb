import ssl

return ssl.OPENSSL_VERSION
