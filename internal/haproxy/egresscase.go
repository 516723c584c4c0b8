package haproxy

import "strings"

// usualNames are headers as people write them. HAProxy writes names in lower case, which is the same to who reads RFC 9110,
// and not to applications of twenty years and to some of their partners.
var usualNames = strings.Fields(`Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Age Allow Authorization
Cache-Control Connection Content-Disposition Content-Encoding Content-ID Content-Language Content-Length Content-Location
Content-MD5 Content-Range Content-Type Cookie Date ETag Expect Expires From Host If-Match If-Modified-Since If-None-Match
If-Range If-Unmodified-Since Keep-Alive Last-Modified Link Location MIME-Version Origin Pragma Range Referer Retry-After
Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Server
Set-Cookie SOAPAction TE Trailer Transfer-Encoding Upgrade User-Agent Vary WWW-Authenticate`)

// usualCase has headers written as usual where calls to partners are carried, by those who opt for it.
func (r *renderer) usualCase(s *Section) {
	if !r.egresses(0) {
		return
	}
	for _, name := range usualNames {
		s.add("h1-case-adjust %s %s", strings.ToLower(name), name)
	}
}
