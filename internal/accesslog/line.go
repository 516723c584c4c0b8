package accesslog

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxPath is how many bytes of a request's path a Line and an Entry keep.
const maxPath = 512

// errMalformed says that a line is not what one of our formats produces.
var errMalformed = errors.New("parse log line: not what the format produces")

// Kind tells which of the formats a line came from.
type Kind byte

// The kinds of line.
const (
	KindHTTP  Kind = 'h' // a request
	KindTCP   Kind = 't' // a connection in mode tcp
	KindError Kind = 'e' // a connection without a request (status 0), or a broken request (400)
)

// Timers are the phases of a request or connection in whole milliseconds, cut off, not
// rounded; -1 means that it was not reached.
type Timers struct {
	Request  int64 `json:"request"`  // http: receiving the request; tcp: the TLS and PROXY handshake
	Queue    int64 `json:"queue"`    // waiting for a server's slot
	Connect  int64 `json:"connect"`  // connecting to the server
	Response int64 `json:"response"` // http: the server's answer after the request was sent
	Total    int64 `json:"total"`    // http: from the first byte of the request to the end; tcp: the connection
}

// Line is one log line. Its byte slices point into the parsed datagram or into its own buffer
// and hold until the next parse; all of them are valid UTF-8.
type Line struct {
	Kind        Kind
	PID         uint32
	Number      uint32 // HAProxy's log counter, per process and frontend
	Frontend    []byte
	AcceptedMS  int64 // Unix time of the accept in milliseconds
	Backend     []byte
	Server      []byte // "<NOSRV>" when none was chosen
	Status      int    // 0 or -1 when there was none
	BytesIn     int64  // from the client
	BytesOut    int64  // to the client
	Timers      Timers
	Termination []byte // two characters, "--" when all went well
	Retries     int64
	Redispatch  bool // the last retry went to another server
	Client      []byte
	ClientPort  []byte
	TLSVersion  []byte
	TLSCipher   []byte
	Site        []byte
	Route       []byte
	Zone        []byte
	// Handshake is how long TLS took in milliseconds, and First says that the line is of the first request after it; Resumed
	// that it resumed a session. They are of frontends that end TLS.
	Handshake   int64
	First       bool
	Resumed     bool
	Limited     []byte // rate limits that it was over, "429:edge,cut:other,", as limits reads it
	Method      []byte
	Path        []byte // without query, at most 512 bytes
	Host        []byte
	Version     []byte
	RequestHdr  []byte // captured headers, a JSON object: name → text or null
	ResponseHdr []byte
	// Caller is the EgressClient of a call to a partner, By the EgressRule that was found for it, At the address and port that
	// was called, Until the end of the certificate shown there, as HAProxy writes it, WayUS how long the way there and back
	// is in microseconds, -1 when that is not known; Reused says that the connection was an earlier call's, Unmade and
	// UnmadeTLS why there is none.
	Caller, By, At, Until []byte
	WayUS                 int64
	Reused                bool
	Unmade, UnmadeTLS     []byte
	Error                 []byte // kind e: HAProxy's name of the connection error
	TLSError              []byte // kind e: the TLS library's words

	buf []byte // holds strings that had escapes
}

// pool returns the backend, nothing when HAProxy chose none, for which it names the frontend.
func (l *Line) pool() []byte {
	if bytes.Equal(l.Backend, l.Frontend) {
		return nil
	}
	return l.Backend
}

// parse reads what follows the token in a line: from `"y":` to the closing brace, and one line
// end. It keeps nothing of an earlier line. The header fields (PID, Number, Frontend) and
// headed say how far a malformed line could be read.
func (l *Line) parse(b []byte) (headed bool, err error) {
	*l = Line{buf: l.buf[:0]}
	if cap(l.buf) < len(b)*utf8.UTFMax { // so that no append moves what a field points to
		l.buf = make([]byte, 0, max(len(b), 2048)*utf8.UTFMax)
	}
	p := parser{b: b, buf: l.buf}
	p.literal(`"y":"`)
	l.Kind = Kind(p.byte())
	p.literal(`","p":`)
	l.PID = uint32(p.number(1, 1<<32-1))
	p.literal(`,"n":`)
	l.Number = uint32(p.number(0, 1<<32-1))
	p.literal(`,"f":`)
	l.Frontend = p.text()
	if p.bad {
		return false, errMalformed
	}
	p.common(l)
	switch l.Kind {
	case KindHTTP:
		p.place(l)
		p.request(l)
	case KindTCP:
		p.place(l)
	case KindError:
		p.literal(`,"er":`)
		l.Error = p.optionalText()
		p.literal(`,"es":`)
		l.TLSError = p.optionalText()
	default:
		p.bad = true
	}
	p.end()
	if p.bad {
		return true, errMalformed
	}
	return true, nil
}

func (p *parser) common(l *Line) {
	p.literal(`,"t":`)
	l.AcceptedMS = p.number(0, maxNumber)
	p.literal(`,"b":`)
	l.Backend = p.text()
	p.literal(`,"s":`)
	l.Server = p.text()
	p.literal(`,"st":`)
	l.Status = int(p.number(-1, 999))
	p.literal(`,"i":`)
	l.BytesIn = p.number(0, maxNumber)
	p.literal(`,"o":`)
	l.BytesOut = p.number(0, maxNumber)
	p.literal(`,"tm":[`)
	l.Timers.Request = p.number(minNumber, maxNumber)
	p.literal(`,`)
	l.Timers.Queue = p.number(minNumber, maxNumber)
	p.literal(`,`)
	l.Timers.Connect = p.number(minNumber, maxNumber)
	p.literal(`,`)
	l.Timers.Response = p.number(minNumber, maxNumber)
	p.literal(`,`)
	l.Timers.Total = p.number(minNumber, maxNumber)
	p.literal(`],"e":`)
	l.Termination = p.text()
	p.literal(`,"r":"`)
	l.Redispatch = p.skip('+')
	l.Retries = p.number(0, maxNumber)
	p.literal(`","c":`)
	l.Client = p.text()
	p.literal(`,"cp":`)
	l.ClientPort = p.text()
	p.literal(`,"tv":`)
	l.TLSVersion = p.optionalText()
	p.literal(`,"tc":`)
	l.TLSCipher = p.optionalText()
}

func (p *parser) place(l *Line) {
	told := p.at(`,"si":`) // by a HAProxy that was configured before lines were without it
	if told {
		p.literal(`,"si":`)
		l.Site = p.optionalText()
	}
	p.literal(`,"ro":`)
	l.Route = p.optionalText()
	if !told {
		l.Site, _, _ = bytes.Cut(l.Route, []byte{'/'})
	}
	p.literal(`,"zo":`)
	l.Zone = p.optionalText()
	if p.at(`,"li":`) {
		p.literal(`,"li":`)
		l.Limited = p.optionalText()
	}
	if p.at(`,"hs":[`) {
		p.literal(`,"hs":[`)
		l.Handshake = p.number(minNumber, maxNumber)
		p.literal(`,`)
		l.First = p.truth()
		p.literal(`,`)
		l.Resumed = p.truth()
		p.literal(`]`)
	}
}

func (p *parser) request(l *Line) {
	p.literal(`,"m":`)
	l.Method = p.optionalText()
	p.literal(`,"u":`)
	l.Path = cutPath(p.optionalText())
	p.literal(`,"h":`)
	l.Host = p.optionalText()
	p.literal(`,"v":`)
	l.Version = p.optionalText()
	if p.at(`,"rq":`) {
		p.literal(`,"rq":`)
		l.RequestHdr = p.headers()
	}
	if p.at(`,"rs":`) {
		p.literal(`,"rs":`)
		l.ResponseHdr = p.headers()
	}
	l.WayUS = -1
	if p.at(`,"eg":[`) {
		p.literal(`,"eg":[`)
		p.call(l)
	}
}

// call takes what a line says of a call to a partner.
func (p *parser) call(l *Line) {
	text := func() []byte {
		if t := p.optionalText(); string(t) != "-" {
			return t
		}
		return nil
	}
	next := func() []byte {
		t := text()
		p.literal(`,`)
		return t
	}
	l.Caller, l.By = next(), next()
	l.At = p.joined(next(), next())
	l.Until = next()
	if way, err := strconv.ParseInt(string(next()), 10, 64); err == nil && way >= 0 {
		l.WayUS = way
	}
	l.Reused = string(next()) == "1"
	l.Unmade = next()
	l.UnmadeTLS = text()
	p.literal(`]`)
}

// joined gives an address and a port as one text, nothing where there is none.
func (p *parser) joined(address, port []byte) []byte {
	if p.bad || len(address) == 0 {
		return nil
	}
	start := len(p.buf)
	if bytes.IndexByte(address, ':') >= 0 {
		p.buf = append(append(append(p.buf, '['), address...), ']')
	} else {
		p.buf = append(p.buf, address...)
	}
	p.buf = append(append(p.buf, ':'), port...)
	return p.buf[start:len(p.buf):len(p.buf)]
}

// headers takes an object of captured headers, and gives it as it stands in the line.
func (p *parser) headers() []byte {
	from := p.i
	p.literal("{")
	for {
		p.text()
		p.literal(":")
		p.optionalText()
		if p.bad || !p.skip(',') {
			break
		}
	}
	p.literal("}")
	return p.b[from:p.i]
}

// cutPath keeps the first maxPath bytes, fewer when that would split a character.
func cutPath(path []byte) []byte {
	if len(path) <= maxPath {
		return path
	}
	n := maxPath
	for n > 0 && !utf8.RuneStart(path[n]) {
		n--
	}
	return path[:n]
}
