package weir

import (
	"slices"
	"strings"
)

// SiteLog says what of a site's requests and answers goes into the access log, and what of the answers stays inside.
type SiteLog struct {
	// RequestHeaders are captured into the access log, cut to so many bytes; of several sites of a group that capture
	// the same header the longest counts.
	RequestHeaders map[string]int `json:"requestHeaders,omitempty"`
	// ResponseHeaders are captured likewise, before Strip takes them away.
	ResponseHeaders map[string]int `json:"responseHeaders,omitempty"`
	// Strip names headers that clients never see: they are taken out of the servers' answers.
	Strip []string `json:"strip,omitempty"`
}

// MostCaptured is how many headers of requests, and of responses, a site can capture, and MostCapturedBytes how much of
// them all together: what is longer than a line of the log is lost with the line.
const (
	MostCaptured      = 16
	MostCapturedBytes = 4096
)

// credentials are headers that a log must not hold.
var credentials = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

// framing are headers without which an answer would be another.
var framing = []string{"connection", "content-length", "transfer-encoding", "trailer", "upgrade"}

// validate checks the names, which are text of the group's configuration.
func (l *SiteLog) validate(p *Problems) {
	if l == nil {
		return
	}
	capturedHeaders(p, "log.requestHeaders", l.RequestHeaders)
	capturedHeaders(p, "log.responseHeaders", l.ResponseHeaders)
	if len(l.Strip) > 32 {
		p.Add("log.strip", "has %d headers; 32 at most", len(l.Strip))
	}
	for i, name := range l.Strip {
		headerName(p, index("log.strip", i), name)
		if slices.Contains(framing, strings.ToLower(name)) {
			p.Add(index("log.strip", i), "%s says how the answer is to be read, and stays", name)
		}
	}
	lower := make([]string, len(l.Strip))
	for i, name := range l.Strip {
		lower[i] = strings.ToLower(name)
	}
	unique(p, "log.strip", lower)
}

func capturedHeaders(p *Problems, path string, headers map[string]int) {
	if len(headers) > MostCaptured {
		p.Add(path, "has %d headers; %d at most", len(headers), MostCaptured)
	}
	total := 0
	for _, length := range headers {
		total += max(length, 0)
	}
	if total > MostCapturedBytes {
		p.Add(path, "has %d bytes in all; at most %d are allowed", total, MostCapturedBytes)
	}
	seen := map[string]bool{}
	for _, name := range sortedKeys(headers) {
		at, lower := path+"."+clip(name), strings.ToLower(name)
		headerName(p, at, name)
		between(p, at, headers[name], 1, 512)
		if slices.Contains(credentials, lower) {
			p.Add(at, "holds what a client proves itself with, which belongs into no log")
		}
		if seen[lower] {
			p.Add(at, "is listed twice")
		}
		seen[lower] = true
	}
}

func headerName(p *Problems, path, name string) {
	if name == "" {
		p.Add(path, "needs a name")
	}
	checkToken(p, path, name)
}
