package accesslog

import "bytes"

// cause is who made a request or connection fail.
type cause byte

const (
	causeNone cause = iota
	causeClient
	causeServer
	causeProxy
)

// againServer begins the names of servers that lead back to HAProxy itself, where others are tried.
var againServer = []byte("_again")

// cause tells who made a line's request fail. One that was sent back, and for which nobody was found even so, ended in
// good order where it is logged: HAProxy answered itself.
func (l *Line) cause() cause {
	by := blame(l.Termination)
	if by == causeNone && l.Status >= 502 && l.Status <= 504 && bytes.HasPrefix(l.Server, againServer) {
		return causeServer
	}
	return by
}

// blame reads HAProxy's termination state: the first character is what ended the stream, the
// second the state that it was in.
func blame(termination []byte) cause {
	if len(termination) < 2 {
		return causeNone
	}
	switch termination[0] {
	case 'C', 'c':
		return causeClient
	case 'S', 's', 'D': // D: HAProxy cut the stream because it saw the server go down
		return causeServer
	case 'P':
		return blameRefusal(termination[1])
	case 'R', 'I', 'K', 'U': // resources, an internal fault, an operator, a switch back
		return causeProxy
	}
	return causeNone // '-': it went well; 'L': HAProxy itself was asked to answer
}

// blameRefusal says who is behind a stream that HAProxy itself ended, by the state it was in.
func blameRefusal(state byte) cause {
	switch state {
	case 'R', 'T', 'D': // a broken or denied request, a tarpitted one, a broken body
		return causeClient
	case 'H': // a broken or forbidden response
		return causeServer
	}
	return causeProxy // a limit was reached
}
