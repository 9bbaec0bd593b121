//! What the tests of the engine in virtual time watch: nobody is asked for real, so that only what the engine looks at matters.

use std::sync::Arc;

use whyd::model::dependency::*;

/// A GET of `/` by plain HTTP.
pub fn http(endpoint: Endpoint) -> HttpProbe {
    HttpProbe {
        url: HttpUrl {
            scheme: Scheme::Http,
            endpoint,
            path: "/".into(),
            query: None,
        },
        method: "GET".into(),
        headers: Arc::from([]),
        body: None,
        auth: Auth::None,
        version: HttpVersion::Auto,
        redirects: Redirects::default(),
        proxy: None,
        tls: TlsSettings::default(),
        resolve: ResolveSettings::default(),
        expect: Expect::default(),
        max_body: 1 << 20,
        user_agent: "test".into(),
    }
}
