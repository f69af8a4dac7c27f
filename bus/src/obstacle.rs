//! What keeps a client and a broker apart. librdkafka has no codes for it: its texts do.

/// Why a broker is not reachable, as far as the client's last words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The broker does not take the user, the password, or the mechanism.
    Login,
    /// The broker's certificate is not of an authority that we know, or is of another host.
    BrokerCertificate,
    /// The broker does not take the certificate that we have, or wants one.
    ClientCertificate,
    /// One side speaks TLS or expects a login, and the other does not.
    Protocol,
    /// The host has no address.
    Name,
    /// Nobody answers there, or anything else.
    Silence,
}

/// Words of librdkafka and OpenSSL, in the order in which they are looked for.
const WORDS: [(&str, Obstacle); 13] = [
    ("Failed to resolve", Obstacle::Name),
    ("certificate verify failed", Obstacle::BrokerCertificate),
    ("Failed to verify broker certificate", Obstacle::BrokerCertificate),
    ("did not provide a certificate", Obstacle::BrokerCertificate),
    ("alert", Obstacle::ClientCertificate),
    ("client SSL authentication might be", Obstacle::ClientCertificate),
    ("Unsupported SASL mechanism", Obstacle::Login),
    ("SASL authentication error", Obstacle::Login),
    ("Authentication failed", Obstacle::Login),
    ("security.protocol", Obstacle::Protocol),
    ("PLAINTEXT broker listener", Obstacle::Protocol),
    ("wrong version number", Obstacle::Protocol),
    ("SSL handshake failed", Obstacle::Protocol),
];

impl Obstacle {
    /// From what the client said.
    pub(crate) fn of(reason: &str) -> Self {
        WORDS.iter().find(|(words, _)| reason.contains(words)).map_or(Self::Silence, |(_, found)| *found)
    }

    /// Waiting does not take it away: the broker answered, and does not take who we are, or is not whom we trust.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Login | Self::BrokerCertificate | Self::ClientCertificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_client_name_the_obstacle() {
        let cases = [
            (
                "sasl_ssl://h:1/bootstrap: SASL authentication error: Authentication failed during authentication due \
                 to invalid credentials with SASL mechanism SCRAM-SHA-512",
                Obstacle::Login,
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: \
                 broker certificate could not be verified",
                Obstacle::BrokerCertificate,
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: error:0A000415:SSL routines::ssl/tls alert certificate \
                 expired: SSL alert number 45",
                Obstacle::ClientCertificate,
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
                Obstacle::Protocol,
            ),
            ("h:1/bootstrap: Failed to resolve 'h:1': Name or service not known", Obstacle::Name),
            (
                "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused",
                Obstacle::Silence,
            ),
        ];
        for (reason, expected) in cases {
            assert_eq!(Obstacle::of(reason), expected, "{reason}");
        }
    }
}
