// Package accesslog tells HAProxy how to log one JSON object a request to its agent over UDP,
// and receives, parses and counts those lines there. Nothing in it ever makes HAProxy wait:
// what cannot be taken in is dropped, and what was dropped is counted.
package accesslog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxLine is the longest line in bytes that HAProxy is told to send; it cuts a longer one,
// which then counts as malformed. Without captured headers a line stays under 6 KiB.
const MaxLine = 16 << 10

// The formats below share their first items and their order, which the parser relies on.
// Names out of the configuration, addresses and numbers are plain; whatever a client or a map
// can influence goes through +json, which escapes on 3.2 and 3.4 alike and quotes by itself.
const (
	commonItems  = `"p":%pid,"n":%lc,"f":"%f","t":%Ts%ms,"b":"%b","s":"%s","st":%ST,"i":%U,"o":%B,`
	httpTimers   = `"tm":[%TR,%Tw,%Tc,%Tr,%Ta],`
	tcpTimers    = `"tm":[%Th,%Tw,%Tc,-1,%Tt],`
	clientItems  = `"e":"%ts","r":"%rc","c":"%ci","cp":"%cp","tv":%{+json}sslv,"tc":%{+json}sslc,`
	placeItems   = `"ro":%{+json}[var(txn.route)],"zo":%{+json}[var(txn.zone)],"li":%{+json}[var(txn.limited)]`
	httpItems    = `,"m":%{+json}HM,"u":%{+json}HPO,"h":%{+json}[capture.req.hdr(0)],"v":%{+json}HV`
	httpTLSItems = `,"hs":[%Th,%[var(txn.first)],%[ssl_fc_is_resumed]]`
	tcpTLSItems  = `,"hs":[%Th,1,%[ssl_fc_is_resumed]]`
	errorItems   = `"er":%{+json}[fc_err_name],"es":%{+json}[ssl_fc_err_str]`
)

// HTTPFormat returns the log-format of frontends in mode http, to be written between single
// quotes. The frontend captures the request's Host first and sets txn.route, "site" or
// "site/backend", txn.zone, and txn.limited, which rate limits the request was over (see Limited); all are strings and
// each of them optional: a capture costs HAProxy half of what a variable for the Host does. The token must be one that CheckToken accepts.
func HTTPFormat(token string) string {
	return opening(token, 'h') + httpTimers + clientItems + placeItems + httpItems + "}"
}

// HTTPSFormat is HTTPFormat for frontends that end TLS: it tells how long the handshake took, whether this is the first
// request after it, for which the frontend sets txn.first to 1, and whether it resumed a session.
func HTTPSFormat(token string) string {
	return opening(token, 'h') + httpTimers + clientItems + placeItems + httpTLSItems + httpItems + "}"
}

// HTTPFormatCaptured is HTTPFormat with captured headers under the names given, in the order in which the frontend
// captures them: of requests after the Host, and of responses.
func HTTPFormatCaptured(token string, request, response []string) string {
	items := captured("rq", "req", 1, request) + captured("rs", "res", 0, response)
	return strings.TrimSuffix(HTTPFormat(token), "}") + items + "}"
}

// CallItems are what frontends of mode http that have a way out log of calls to partners, before the closing brace of their
// format: the EgressClient, the EgressRule, the address that was called, until when the certificate is good that was shown
// there, how long the way there and back is in microseconds, whether the connection is that of an earlier call, and what kept
// it from being made. The frontend sets txn.eg.client and txn.eg.by, both of them names of objects, for calls alone.
const CallItems = `,"eg":[%{+json}[var(txn.eg.client)],%{+json}[var(txn.eg.by)],"%si","%sp",%{+json}[ssl_s_notafter],"%[bc_rtt(us)]","%[bc_reused]",` +
	`%{+json}[bc_err_name],%{+json}[ssl_bc_err_str]]`

func captured(item, of string, first int, names []string) string {
	if len(names) == 0 {
		return ""
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf(`"%s":%%{+json}[capture.%s.hdr(%d)]`, name, of, first+i)
	}
	return `,"` + item + `":{` + strings.Join(list, ",") + "}"
}

// TCPFormat returns the log-format of frontends in mode tcp, to be written between single
// quotes. The frontend sets txn.route and txn.zone in tcp-request content rules.
func TCPFormat(token string) string {
	return opening(token, 't') + tcpTimers + clientItems + placeItems + "}"
}

// TLSFormat is TCPFormat for frontends that end TLS.
func TLSFormat(token string) string {
	return opening(token, 't') + tcpTimers + clientItems + placeItems + tcpTLSItems + "}"
}

// ErrorFormat returns the error-log-format of frontends of either mode, to be written between
// single quotes: HAProxy uses it for connections that end before a request, by a failed TLS
// handshake or PROXY header, and for requests too broken to be one (status 400).
func ErrorFormat(token string) string {
	return opening(token, 'e') + tcpTimers + clientItems + errorItems + "}"
}

func opening(token string, kind byte) string {
	return `{"k":"` + token + `","y":"` + string(kind) + `",` + commonItems
}

// LogTarget returns the log line of a frontend, without its indentation, that sends to the
// receiver at addr.
func LogTarget(addr netip.AddrPort) string {
	family := "udp4@"
	if addr.Addr().Is6() {
		family = "udp6@"
	}
	return "log " + family + addr.String() + " len " + strconv.Itoa(MaxLine) + " format raw local0 info"
}

// tokenLength is the least that a token has, in characters.
const tokenLength = 16

// NewToken returns a fresh random token of 128 bits.
func NewToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}

// CheckToken refuses a token that is short enough to be guessed or holds anything but
// letters, digits, '-' and '_'.
func CheckToken(token string) error {
	if len(token) < tokenLength {
		return fmt.Errorf("log token has %d characters: use NewToken, at least %d are needed", len(token), tokenLength)
	}
	for _, c := range []byte(token) {
		if !isTokenByte(c) {
			return errors.New("log token holds something else than letters, digits, '-' and '_': use NewToken")
		}
	}
	return nil
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
