package accesslog

import (
	"encoding/json"
	"time"
)

// Entry is one of the last lines, for people to read.
type Entry struct {
	Time         time.Time `json:"time"` // of the accept
	Kind         string    `json:"kind"` // "http", "tcp" or "error"
	PID          uint32    `json:"pid"`
	Frontend     string    `json:"frontend"`
	Site         string    `json:"site,omitempty"`
	Route        string    `json:"route,omitempty"`
	Zone         string    `json:"zone,omitempty"`
	Limited      string    `json:"limited,omitempty"` // the rate limits that it was over
	Pool         string    `json:"pool,omitempty"`
	Server       string    `json:"server,omitempty"`
	Status       int       `json:"status,omitempty"`
	BytesIn      int64     `json:"bytesIn"`
	BytesOut     int64     `json:"bytesOut"`
	TimersMS     Timers    `json:"timersMs"`
	Termination  string    `json:"termination"`
	Retries      int64     `json:"retries,omitempty"`
	Redispatched bool      `json:"redispatched,omitempty"`
	Client       string    `json:"client"`
	ClientPort   string    `json:"clientPort"`
	TLSVersion   string    `json:"tlsVersion,omitempty"`
	TLSCipher    string    `json:"tlsCipher,omitempty"`
	Method       string    `json:"method,omitempty"`
	Path         string    `json:"path,omitempty"`
	Host         string    `json:"host,omitempty"`
	Version      string    `json:"version,omitempty"`
	// RequestHeaders and ResponseHeaders are those captured that were there, by their names in small letters.
	RequestHeaders  map[string]string `json:"requestHeaders,omitempty"`
	ResponseHeaders map[string]string `json:"responseHeaders,omitempty"`
	// Caller is the EgressClient of a call to a partner, Rule the EgressRule that was found for it, At the address and port that
	// was called, and Unmade why there was no connection.
	Caller   string `json:"caller,omitempty"`
	Rule     string `json:"rule,omitempty"`
	At       string `json:"at,omitempty"`
	Unmade   string `json:"unmade,omitempty"`
	Error    string `json:"error,omitempty"`
	TLSError string `json:"tlsError,omitempty"`
}

// headersOf reads an object that the parser has taken.
func headersOf(object []byte) map[string]string {
	var all map[string]*string
	if json.Unmarshal(object, &all) != nil {
		return nil
	}
	there := map[string]string{}
	for name, value := range all {
		if value != nil && *value != "" {
			there[name] = *value
		}
	}
	return there
}

// unmade says why a call had no connection to the partner, in TLS's words where it was that.
func (l *Line) unmade() []byte {
	if len(l.UnmadeTLS) > 0 {
		return l.UnmadeTLS
	}
	return l.Unmade
}

func (l *Line) entry() Entry {
	kinds := map[Kind]string{KindHTTP: "http", KindTCP: "tcp", KindError: "error"}
	return Entry{
		Time:            time.UnixMilli(l.AcceptedMS).UTC(),
		Kind:            kinds[l.Kind],
		PID:             l.PID,
		Frontend:        string(l.Frontend),
		Site:            string(l.Site),
		Route:           string(l.Route),
		Zone:            string(l.Zone),
		Limited:         string(l.Limited),
		Pool:            string(l.pool()),
		Server:          string(l.Server),
		Status:          max(0, l.Status),
		BytesIn:         l.BytesIn,
		BytesOut:        l.BytesOut,
		TimersMS:        l.Timers,
		Termination:     string(l.Termination),
		Retries:         l.Retries,
		Redispatched:    l.Redispatch,
		Client:          string(l.Client),
		ClientPort:      string(l.ClientPort),
		TLSVersion:      string(l.TLSVersion),
		TLSCipher:       string(l.TLSCipher),
		Method:          string(l.Method),
		Path:            string(l.Path),
		Host:            string(l.Host),
		Version:         string(l.Version),
		RequestHeaders:  headersOf(l.RequestHdr),
		ResponseHeaders: headersOf(l.ResponseHdr),
		Caller:          string(l.Caller),
		Rule:            string(l.By),
		At:              string(l.At),
		Unmade:          string(l.unmade()),
		Error:           string(l.Error),
		TLSError:        string(l.TLSError),
	}
}
