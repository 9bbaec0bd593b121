//! Each rule by itself: it fires when it should, stays quiet when it should, and is over when it should.
