package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

const (
	// promoteEvery is how often a member looks whether another one has caught up.
	promoteEvery = time.Second
	// changePatience is how long a change of members is tried: etcd takes members for unhealthy that were started
	// just now, and forgets what was asked of a leader that has died. changeTry bounds one try.
	changePatience = 25 * time.Second
	changeTry      = 4 * time.Second
	// learnPatience is how long a new member waits between two looks at whether it may vote.
	learnPatience = 200 * time.Millisecond
)

// JoinRequest is what a server that joins says.
type JoinRequest struct {
	// URL is where the other members will reach it.
	URL string `json:"url"`
	// CSR asks for its certificate, in PEM.
	CSR string `json:"csr"`
	// SealingKey is the name of the key by which it seals, which must be the store's.
	SealingKey string `json:"sealingKey"`
}

// JoinAnswer is what a server needs to join.
type JoinAnswer struct {
	// Certificate is its chain, CA those to believe of other members, both PEM.
	Certificate string `json:"certificate"`
	CA          string `json:"ca"`
	// Members are all of the store, the new one included: name=URL, with commas between them.
	Members string `json:"members"`
}

// StoreMember is a member of an embedded store.
type StoreMember struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url"`
	// Learner says that it still catches up and has no vote; Leader that it leads.
	Learner bool `json:"learner,omitempty"`
	Leader  bool `json:"leader,omitempty"`
	// Own says that it is that of the server asked.
	Own bool `json:"own,omitempty"`
}

// errAlone is the refusal of a store that nobody can join.
func (s *Store) errAlone() error {
	if s.embedded == nil {
		return weir.Errorf(weir.Conflict, "the store is on an etcd outside: start further servers with the same --etcd-endpoints and sealing key")
	}
	return weir.Errorf(weir.Conflict, "this server's store takes no further members: start the server again with --store-peer https://HOST:2380, its own address")
}

// CheckJoin says why a further server can't be let in, as far as can be told without doing so.
func (s *Store) CheckJoin(ask JoinRequest) error {
	if s.embedded == nil || s.opts.Peers == nil {
		return s.errAlone()
	}
	if _, err := checkPeerURL(ask.URL); err != nil {
		return err
	}
	if !s.wouldShareKeys(ask.SealingKey) {
		return weir.Errorf(weir.Conflict, "the server that joins has another sealing key than this one and could open none of its secrets: give it the same --sealing-key-file")
	}
	return nil
}

// Admit lets a further server in: it becomes a member that catches up, and votes once it has. The kind of the error
// is Conflict when it can't be, with what to do.
func (s *Store) Admit(ctx context.Context, ask JoinRequest) (JoinAnswer, error) {
	if err := s.CheckJoin(ask); err != nil {
		return JoinAnswer{}, err
	}
	u, err := checkPeerURL(ask.URL)
	if err != nil {
		return JoinAnswer{}, err
	}
	ca, err := s.peerCA(ctx)
	if err != nil {
		return JoinAnswer{}, err
	}
	cert, err := ca.IssuePeer([]byte(ask.CSR), u.Hostname())
	if err != nil {
		return JoinAnswer{}, weir.Errorf(weir.Invalid, "%s", err)
	}
	var members []*etcdserverpb.Member
	err = s.steadily(ctx, func(ctx context.Context) (err error) {
		members, err = s.addLearner(ctx, u)
		return err
	})
	if err != nil {
		return JoinAnswer{}, s.whyNotAdded(u, err)
	}
	s.opts.Logger.Info("store: a server joins", "url", u.String(), "members", len(members))
	return JoinAnswer{string(ca.ChainPEM(cert)), string(ca.Trust().PEM()), initialCluster(members, u)}, nil
}

// errTaken is the error of an address at which the store has a member.
var errTaken = errors.New("taken")

// addLearner makes a member at u, in place of one there that never began.
func (s *Store) addLearner(ctx context.Context, u *url.URL) ([]*etcdserverpb.Member, error) {
	list, err := s.client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range list.Members {
		if !slices.Contains(m.PeerURLs, u.String()) {
			continue
		}
		if m.Name != "" {
			return nil, fmt.Errorf("%w by %s", errTaken, m.Name)
		}
		if err := s.removeMember(ctx, m.ID); err != nil {
			return nil, err
		}
	}
	added, err := s.client.MemberAddAsLearner(ctx, []string{u.String()})
	if err != nil {
		return nil, err
	}
	return added.Members, nil
}

func (s *Store) whyNotAdded(u *url.URL, err error) error {
	switch {
	case errors.Is(err, errTaken):
		return weir.Errorf(weir.Conflict, "the address %s is %v, a member of the store; weir server remove takes that out", u, err)
	case errors.Is(err, rpctypes.ErrTooManyLearners):
		return weir.Errorf(weir.Conflict, "another server is joining just now; let it get ready first (weir server list), or remove it")
	case errors.Is(err, rpctypes.ErrUnhealthy):
		return weir.Errorf(weir.Conflict, "not all members of the store are there (weir server list): bring them back first, or remove those that are gone for good")
	}
	return membersClosed(err)
}

// steadily makes a change of the members, again while etcd is not ready for it. A try may have been heard although
// it was not answered.
func (s *Store) steadily(ctx context.Context, change func(context.Context) error) error {
	until := time.Now().Add(changePatience)
	for {
		try, cancel := context.WithTimeout(ctx, changeTry)
		err := change(try)
		cancel()
		if err == nil || !ofThisMoment(err) || time.Now().After(until) || !s.pauseFor(ctx, learnPatience) {
			return err
		}
	}
}

// ofThisMoment tells that an error soon passes: members that have been connected for less than five seconds, an
// address whose member was removed in this very second, for etcd names members by both, or an election.
func ofThisMoment(err error) bool {
	for _, of := range []error{rpctypes.ErrUnhealthy, rpctypes.ErrMemberNotFound, rpctypes.ErrNoLeader, rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail, rpctypes.ErrTimeoutDueToConnectionLost, rpctypes.ErrLeaderChanged, context.DeadlineExceeded} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// removeMember is content when somebody was first.
func (s *Store) removeMember(ctx context.Context, id uint64) error {
	_, err := s.client.MemberRemove(ctx, id)
	if errors.Is(err, rpctypes.ErrMemberNotFound) {
		return nil
	}
	return err
}

func membersClosed(err error) error {
	return &weir.Error{Kind: weir.Unavailable, Message: "the members of the store can't be changed now", Cause: err}
}

// initialCluster lists the members as etcd wants it; only the name of the new one counts.
func initialCluster(members []*etcdserverpb.Member, own *url.URL) string {
	var list []string
	for i, m := range members {
		name := m.Name
		if slices.Contains(m.PeerURLs, own.String()) {
			name = memberName(own)
		} else if name == "" {
			name = "member" + strconv.Itoa(i)
		}
		for _, u := range m.PeerURLs {
			list = append(list, name+"="+u)
		}
	}
	return strings.Join(list, ",")
}

// promote makes voters of members that have caught up.
func (s *Store) promote(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, changeTry)
	defer cancel()
	list, err := s.client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return // whoever writes will tell
	}
	for _, m := range list.Members {
		if !m.IsLearner || m.Name == "" {
			continue
		}
		_, err := s.client.MemberPromote(ctx, m.ID)
		switch {
		case err == nil:
			s.opts.Logger.Info("store: a member has caught up and votes now", "name", m.Name, "members", len(list.Members))
			if len(list.Members) == 2 {
				s.opts.Logger.Warn("store: with two members both are needed, which is less safe than one; let a third join soon")
			}
		case errors.Is(err, rpctypes.ErrMemberLearnerNotReady), errors.Is(err, rpctypes.ErrMemberNotLearner), errors.Is(err, rpctypes.ErrMemberNotFound):
		case ctx.Err() == nil:
			s.opts.Logger.Warn("store: a member can't be given its vote yet; it is tried again", "name", m.Name, "error", err)
		}
	}
}

// StoreMembers lists the members of an embedded store by name; none of one that is on an etcd outside.
func (s *Store) StoreMembers(ctx context.Context) ([]StoreMember, error) {
	if s.embedded == nil {
		return nil, nil
	}
	// Not from a quorum: who has lost it wants to see this.
	list, err := s.client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return nil, membersClosed(err)
	}
	leader := uint64(s.embedded.etcd.Server.Leader())
	var out []StoreMember
	for _, m := range list.Members {
		one := StoreMember{
			ID: memberID(m.ID), Name: m.Name, Learner: m.IsLearner, Leader: m.ID == leader, Own: m.ID == uint64(s.embedded.etcd.Server.MemberID()),
		}
		if len(m.PeerURLs) > 0 {
			one.URL = m.PeerURLs[0]
		}
		if s.opts.Peers == nil && one.Own {
			one.URL = "" // nobody reaches it
		}
		if one.Name == "" {
			if u, err := url.Parse(one.URL); err == nil {
				one.Name = memberName(u)
			}
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b StoreMember) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func memberID(id uint64) string { return strconv.FormatUint(id, 16) }

// OwnMember is the ID of the member inside this server, empty when the store is on an etcd outside.
func (s *Store) OwnMember() string {
	if s.embedded == nil {
		return ""
	}
	return memberID(uint64(s.embedded.etcd.Server.MemberID()))
}

// RemoveMember takes a member out of the store for good; its server ends. It is NotFound when there is none of that
// name, and Conflict when the store would be left without a majority.
func (s *Store) RemoveMember(ctx context.Context, name string) (left int, err error) {
	members, err := s.StoreMembers(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(members, func(m StoreMember) bool { return m.Name == name || m.ID == name })
	switch {
	case s.embedded == nil:
		return 0, s.errAlone()
	case i < 0:
		return 0, weir.Errorf(weir.NotFound, "the store has no member %s", name)
	case len(members) == 1:
		return 0, weir.Errorf(weir.Conflict, "%s is the only member of the store", name)
	}
	id, err := strconv.ParseUint(members[i].ID, 16, 64)
	if err != nil {
		return 0, err
	}
	err = s.steadily(ctx, func(ctx context.Context) error { return s.removeMember(ctx, id) })
	if errors.Is(err, rpctypes.ErrUnhealthy) {
		return 0, weir.Errorf(weir.Conflict, "without %s too few members would be left that are there: bring the others back first", name)
	}
	if err != nil {
		return 0, membersClosed(err)
	}
	s.opts.Logger.Info("store: a member was removed", "name", name, "left", len(members)-1)
	return len(members) - 1, nil
}
