package ir

import (
	"errors"
	"strings"
)

// Challenge is a question by which an authority finds out who holds a name (http-01 of RFC 8555, 8.3), and what it is to
// be answered. It comes from no object: the control plane adds it to the groups whose sites have the name, and takes it
// away again.
type Challenge struct {
	Token string `json:"token"`
	// Answer is the key authorization, which is no secret.
	Answer string `json:"answer"`
}

const (
	maxToken  = 200
	maxAnswer = 1024
)

// Check says why a challenge is none: token and answer are of the alphabet of base64url, the answer with dots, so that
// neither can be more than an entry's key and value.
func (c Challenge) Check() error {
	if !base64url(c.Token, maxToken, "") {
		return errors.New("check challenge: the token must be 1 to 200 letters, digits, - or _")
	}
	if !base64url(c.Answer, maxAnswer, ".") {
		return errors.New("check challenge: the answer must be 1 to 1024 letters, digits, dots, - or _")
	}
	return nil
}

func base64url(s string, longest int, more string) bool {
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && !strings.ContainsRune(more, c)
	})
}

// Claims gives a function that says whether one of a node's sites has a name, as it stands there or by a wildcard.
func (n *Node) Claims() func(name string) bool {
	hosts := map[string]bool{}
	for i := range n.Sites {
		for _, h := range n.Sites[i].Hostnames {
			hosts[h] = true
		}
	}
	return func(name string) bool {
		if name == "" || hosts[name] || hosts["*"] {
			return name != ""
		}
		for label, rest, ok := strings.Cut(name, "."); ok && label != ""; label, rest, ok = strings.Cut(rest, ".") {
			if hosts["*."+rest] {
				return true
			}
		}
		return false
	}
}
