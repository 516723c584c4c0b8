// Package signin lets people in who come with a browser: a token, or the word of an identity provider, becomes a session,
// which every server of the store knows and which ends with what it rests on.
package signin

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
)

const (
	// Cookie is the name of the cookie that a session is known by. Browsers take it from this host alone, over TLS.
	Cookie = "__Host-weir"
	// Longest is how long a session lives at the most.
	Longest = 12 * time.Hour
	// ofSubject is how many sessions one subject has; beyond, the oldest goes.
	ofSubject = 32
	// most is how many sessions there are.
	most = 20_000
	// kind is that of the text in the cookie, which is made as tokens are.
	kind = "session"
	// maxExchanges is how many codes are exchanged at once.
	maxExchanges = 16
	// behind is how long a server waits that has not seen yet what a session was made by.
	behind = 5 * time.Second
)

// Options are what a Desk stands on. Store is required.
type Options struct {
	Store *store.Store
	// Dial reaches identity providers, where the control plane may ask; nil reaches whatever there is.
	Dial Dial
	// Audit takes the sessions that end with what they rest on; nil takes none.
	Audit *secrets.Audit
	Clock func() time.Time
	Log   *slog.Logger
}

func (o *Options) fill() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Desk makes sessions, knows them and ends them. Many goroutines may use it.
type Desk struct {
	opts     Options
	sessions *store.Sessions
	// exchanges holds a place for each code that is being exchanged.
	exchanges chan struct{}

	mu        sync.Mutex
	providers map[string]*known // by name
}

// New makes a Desk. Follow must run for it to know what other servers of the store do.
func New(o Options) *Desk {
	o.fill()
	return &Desk{opts: o, sessions: o.Store.Sessions(), exchanges: make(chan struct{}, maxExchanges), providers: map[string]*known{}}
}

// Follow keeps up who is signed in until ctx ends.
func (d *Desk) Follow(ctx context.Context) { d.sessions.Follow(ctx) }

// Ready is closed when the sessions have been read once.
func (d *Desk) Ready() <-chan struct{} { return d.sessions.Ready() }

// Sessions is how many there are.
func (d *Desk) Sessions() int { return d.sessions.Len() }

// Open makes a session of one that says who it is, what it rests on and when it ends, which is within Longest; the
// cookie is what its browser is to keep.
func (d *Desk) Open(ctx context.Context, s store.Session) (*http.Cookie, error) {
	if d.sessions.Len() >= most {
		return nil, weir.Errorf(weir.Unavailable, "too many people are signed in; sign out somewhere, or try again later")
	}
	var text string
	text, s.ID = secrets.NewToken(kind)
	now := d.opts.Clock().UTC().Truncate(time.Second)
	s.Made = now
	if latest := now.Add(Longest); s.Ends.IsZero() || s.Ends.After(latest) {
		s.Ends = latest
	}
	if err := d.sessions.Drop(ctx, d.oldest(s.Subject)...); err != nil {
		return nil, err
	}
	if err := d.sessions.Put(ctx, s); err != nil {
		return nil, err
	}
	return cookie(Cookie, text, s.Ends.Sub(now), http.SameSiteStrictMode), nil
}

// oldest are those of a subject that must go for another one to be made.
func (d *Desk) oldest(subject string) []string {
	var list []store.Session
	for _, s := range d.sessions.All() {
		if s.Subject == subject {
			list = append(list, s)
		}
	}
	if len(list) < ofSubject {
		return nil
	}
	slices.SortFunc(list, func(a, b store.Session) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID)) })
	var ids []string
	for _, s := range list[:len(list)-ofSubject+1] {
		ids = append(ids, s.ID)
	}
	return ids
}

// Held gives the session that a request's cookie names, which need not be there; "" without a cookie.
func Held(r *http.Request) (id string, err error) {
	cookies := r.CookiesNamed(Cookie)
	if len(cookies) == 0 {
		return "", nil
	}
	text := cookies[0].Value
	id, err = secrets.HashToken(text)
	if what, _ := secrets.TokenKind(text); len(cookies) > 1 || err != nil || what != kind {
		return "", weir.Errorf(weir.Unauthenticated, "the cookie %s is no session's: sign in again", Cookie)
	}
	return id, nil
}

// Session gives a session as this server knows it.
func (d *Desk) Session(id string) (store.Session, error) {
	s, ok := d.sessions.Get(id)
	if !ok {
		return s, ended()
	}
	return s, nil
}

// Find gives a session that another server may have made just now. far says whether to ask the store for one that this
// server does not know. It returns once this server has seen what the session was made by.
func (d *Desk) Find(ctx context.Context, id string, far bool) (store.Session, error) {
	s, err := d.Session(id)
	if err != nil && far {
		if s, err = d.sessions.Read(ctx, id); weir.KindOf(err) == weir.NotFound {
			err = ended()
		}
	}
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, behind)
	defer cancel()
	if err := d.opts.Store.WaitFor(ctx, s.Revision); err != nil {
		return s, &weir.Error{Kind: weir.Unavailable, Message: "this server has not seen yet what the session was made by", Cause: err}
	}
	return s, nil
}

func ended() error {
	return weir.Errorf(weir.Unauthenticated, "the session has ended: sign in again")
}

// Judge says why a session lets nobody in any more, or nil; what its subject may do is another question.
func (d *Desk) Judge(view *weir.Set, s store.Session, now time.Time) error {
	if !now.Before(s.Ends) {
		return ended()
	}
	if s.Provider != "" {
		p := weir.Find[weir.IdentityProvider](view, "IdentityProvider", s.Provider)
		if p == nil || p.Issuer != s.Issuer {
			return weir.Errorf(weir.Unauthenticated, "the identity provider that the session comes from is not there any more: sign in again")
		}
		return nil
	}
	o := view.Get(weir.Ref{Kind: "Token", Name: s.Token})
	if o == nil || o.Spec.(*weir.Token).Hash != s.TokenHash {
		return weir.Errorf(weir.Unauthenticated, "the token that the session was exchanged for was revoked: sign in again")
	}
	if until := o.Spec.(*weir.Token).ExpiresAt; !until.IsZero() && !now.Before(until) {
		return weir.Errorf(weir.Unauthenticated, "the token that the session was exchanged for has run out: sign in with another")
	}
	return nil
}

// Close ends sessions on every server of the store.
func (d *Desk) Close(ctx context.Context, ids ...string) error { return d.sessions.Drop(ctx, ids...) }

// Cleared is the cookie that lets a browser forget its session.
func Cleared() *http.Cookie { return cookie(Cookie, "", -time.Second, http.SameSiteStrictMode) }

func cookie(name, text string, lasts time.Duration, site http.SameSite) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: text, Path: "/", MaxAge: int(lasts / time.Second), Secure: true, HttpOnly: true, SameSite: site,
	}
}
