package signin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/store"
)

const (
	// longestSubject is how long a provider's name for somebody is at most, as OpenID Connect has it, in bytes.
	longestSubject = 255
	// mostGroups is how many groups are kept of somebody; of more, those that something is granted to.
	mostGroups = 500
)

// believe gives who an ID token says it is, once it is proven that the provider says so, to this control plane, now, and in
// answer to this very sign-in.
func (d *Desk) believe(ctx context.Context, p *provider, name, text, nonce string) (store.Session, error) {
	var who store.Session
	token, err := p.verifier.Verify(ctx, text)
	if err != nil {
		return who, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return who, errors.New("the ID token is the answer to another sign-in: its nonce differs")
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return who, err
	}
	var party string
	if raw, ok := claims["azp"]; ok && json.Unmarshal(raw, &party) != nil || party != "" && party != p.spec.ClientID || party == "" && len(token.Audience) > 1 {
		return who, errors.New("the ID token was given to another client: its azp differs")
	}
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if token.Subject == "" || len(token.Subject) > longestSubject || strings.ContainsFunc(token.Subject, odd) || strings.TrimSpace(token.Subject) != token.Subject {
		return who, errors.New("the ID token's sub is not 1 to 255 printable characters of ASCII")
	}
	who = store.Session{Subject: weir.PersonSubject(name, token.Subject), Provider: name, Issuer: p.spec.Issuer}
	if p.spec.GroupsClaim != "" {
		if who.Groups, err = groups(name, claims[p.spec.GroupsClaim]); err != nil {
			return who, fmt.Errorf("the ID token's claim %q: %w", p.spec.GroupsClaim, err)
		}
		if len(who.Groups) > mostGroups {
			granted := d.granted()
			who.Groups = slices.DeleteFunc(who.Groups, func(g string) bool { return !granted[g] })
			who.Groups = who.Groups[:min(len(who.Groups), mostGroups)]
		}
	}
	return who, nil
}

// groups reads a claim that lists groups, or is the only one. What no Grant could name is left out.
func groups(provider string, claim json.RawMessage) ([]string, error) {
	var list []string
	if len(claim) == 0 || string(claim) == "null" {
		return nil, nil
	}
	if err := json.Unmarshal(claim, &list); err != nil {
		var one string
		if json.Unmarshal(claim, &one) != nil {
			return nil, errors.New("is no list of words")
		}
		list = []string{one}
	}
	var out []string
	for _, g := range list {
		grant := weir.Grant{Subject: weir.GroupSubject(provider, g), Role: "*", Right: weir.Viewer}
		problems := &weir.Problems{}
		if grant.Validate(problems); problems.Err() == nil {
			out = append(out, grant.Subject)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// granted are the subjects that something is granted to.
func (d *Desk) granted() map[string]bool { return grantedIn(d.opts.Store.View()) }

func grantedIn(view *weir.Set) map[string]bool {
	granted := make(map[string]bool, view.Len("Grant"))
	for o := range view.All("Grant") {
		granted[o.Spec.(*weir.Grant).Subject] = true
	}
	return granted
}

// NoGrant is the error of somebody who is known and may do nothing.
func NoGrant(subject string) error {
	return weir.Errorf(weir.Forbidden, "nothing is granted to %s yet: give this name to an admin, who makes a Grant of it (weir grant)", subject)
}
