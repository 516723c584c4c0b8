package haproxy

import (
	"slices"

	"weir"
	"weir/internal/ir"
)

// challengePath is where authorities look for the answers to http-01 challenges (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challengePort is the port that they begin at. What answers there needs no other one: redirects are followed, but there
// is none before the answer.
const challengePort weir.Port = 80

// AnswersChallenges says whether the load balancers of a node answer http-01 challenges for the names of its sites: port
// 80 speaks http. Nothing is needed of the sites: they may redirect at port 80, or not be there.
func AnswersChallenges(n *ir.Node) bool {
	r := renderer{node: *n}
	return slices.ContainsFunc(r.ports(), challengesAt)
}

// challengesAt says whether challenges are answered at a port.
func challengesAt(p port) bool { return p.number == challengePort && p.mode == weir.PortHTTP }

// answerChallenges comes before hosts are looked up and before redirects. A path that is not in the map goes on as if
// there were no such rule, so that a site's own client of an authority still works behind it.
func (r *renderer) answerChallenges(s *Section) {
	answer := "path,map_str(" + opt(mapChallenges) + ")"
	s.add("# answers for authorities that ask who holds a name; other paths go on")
	s.add(`http-request return status 200 content-type text/plain lf-string "%%[%s]" if { path_beg %s } { %s -m found }`, answer, challengePath, answer)
}

// challenges fills the map. What is no challenge is left out, whoever sent it.
func (r *renderer) challenges() {
	owner := "LoadBalancerGroup/" + r.node.Group.Name
	for _, c := range r.node.Challenges {
		if c.Check() == nil {
			r.put(mapChallenges, challengePath+c.Token, c.Answer, owner)
		}
	}
}
