//! What happens between a request and the end of its response: HTTP/2's frames, broken heads and bodies, redirects.

use super::readings::{
    BODY_CUT, CALM, CHUNKED, DECODING, DOWNGRADE, GOAWAY, GOAWAY_UNSAID, HEAD_CUT, HEAD_TOO_LARGE,
    HEAD_TOO_LARGE_LIKELY, LENGTH, MALFORMED, REDIRECT_LOOP, REDIRECTS, REFUSED_STREAM, RETRIED_CONNECTIONS,
    Reading, STREAM_ENDED, STREAM_RESET, STREAM_RESET_UNSAID, TLS_PEER, VERSION, WEBSOCKET,
};
use super::{Rule, Says, rule};

const fn h2_code(pattern: &'static str) -> Rule {
    Rule {
        pattern,
        says: Says::H2Code,
    }
}

/// HTTP/2: the reason of the frame where the text has it, by name or by number.
pub(super) const STREAMS: &[Rule] = &[
    rule(r"enhance_your_calm|enhance your calm", &CALM),
    rule(
        r"refused_stream|refused stream|stream not processed|stream refused|stream was refused|unprocessed request",
        &REFUSED_STREAM,
    ),
    rule(
        r"(?:goaway|connectionterminated)[^\n]{0,60}(?:error_code:|code )(?:11|0xb)\b",
        &CALM,
    ),
    rule(
        r"session closed with error code (?:11|enhance_your_calm)\b",
        &CALM,
    ),
    rule(
        r"goaway[^\n]{0,80}(?:errcode=|error_code:|code )\w+|connectionterminated error_code:\d|session closed with error code",
        &GOAWAY,
    ),
    rule(r"goaway|connectionterminated|going away", &GOAWAY_UNSAID),
    h2_code(r"(?:streamreset|rst_stream|stream error)[^\n]{0,60}(?:error_code:|code:?|errorcode=)\s*(\d+)"),
    rule(r"rst_stream received|received rst_stream$", &STREAM_RESET_UNSAID),
    rule(
        r"stream error: stream id|stream error received|stream \d+ was (?:not closed cleanly: \w+_\w+|reset)|streamreset|rst_stream|err_http2_stream_error|nghttp2_\w+|stream no longer needed|reset by (?:peer|remote) with code|http2streamexception|http2: stream|http2error|http/2 (?:stream|error)[^\n]{0,60}(?:internal_error|protocol_error|cancel)",
        &STREAM_RESET,
    ),
    rule(
        r"stream \d+ was not closed cleanly|stream closed because of a broken pipe|err_http2_|http/2 stream|http2 framing layer|connection error detected: |h2 protocol error",
        &STREAM_ENDED,
    ),
    rule(r"connection died, tried \d+ times", &RETRIED_CONNECTIONS),
];

/// Heads, bodies and redirects. Some clients put a status of their own (400) on these, so they come before statuses.
pub(super) const ANSWERS: &[Rule] = &[
    // RFC 8446, section 5.1: a TLS alert record, as bytes or as a client escapes them.
    rule(
        r"plain http request was sent to https port|http request to an https server|speaking plain http to an ssl|(?:\\{1,2}(?:x15|025|u0015)|\x15)(?:\\{1,2}(?:x03|003|u0003)|\x03)",
        &TLS_PEER,
    ),
    // RFC 9113, section 6.5: an empty SETTINGS frame begins with three zeros, or a length below 256, and type 4.
    rule(
        r"(?:\\{1,2}(?:x00|0|u0000)|\x00){2}(?:\\{1,2}(?:0|x[0-9a-f]{2}|u00[0-9a-f]{2}|[bt])|[\x00-\x7f])(?:\\{1,2}(?:x04|4|u0004)|\x04)|http/2 client preface|looks like http/2|http/2 prior knowledge|http_1_1_required|server sent http/2|invalid http/2 (?:preface|connection)|frame_size_error|unexpected http/1|malformed http/2|trying to connect an http1\.x server|bad connection preface",
        &VERSION,
    ),
    rule(
        r"can ?not decode content|failed to decode|content unencoding|decodingerror|contentdecodingerror|while decompressing|invalid block type|incorrect header check|z_data_error|invalid gzip|not in gzip format|zipexception|gzip: invalid header|corrupt (?:deflate|input|gzip)|flate: |bad gzip|zlib error|invaliddataexception|found invalid data while decoding|decompresserror|decompression error|unsupported compression method|invalid deflate|zlib\w*error|unexpected end of zlib|brotli",
        &DECODING,
    ),
    rule(
        r"redirect error that would lead to an infinite loop|redirect (?:loop|cycle)|circular redirect|infinite (?:redirect|loop)",
        &REDIRECT_LOOP,
    ),
    rule(
        r"too ?many ?(?:follow-up requests|(?:http )?redirect)|indicate success: 30[12378]|\b30[12378] \x22?(?:found|moved|temporary redirect)|too_many_redirects|err_(?:fr|too)\w*redirects|exceeded (?:\d+|maximum)[^\n]{0,20} redirects|\d+\) redirects followed|redirected too many|stopped after \d+ redirects|maximum (?:redirect|number of redirects)|max(?:imum)?[ _-]?redirects?\b|redirects? (?:count|limit) exceeded|redirect limit|redirection limit|redirected \d+ times|redirections? exceeded|error following redirect",
        &REDIRECTS,
    ),
    rule(
        r"redirect[^\n]{0,80}(?:https to http|insecure|downgrade)",
        &DOWNGRADE,
    ),
    rule(
        r"line too long|linetoolong|header value is too long|got more than \d+ bytes|headers? overflow|headers?_overflow|header (?:is |was |fields? |size )?too (?:large|long|big)|cannot allocate memory\) in headers|parse\(toolarge|largeresponseheader|headerstoolarge|data field grew larger than allowed|headers? too (?:large|long|big)|receive buffer too long|too large response header|exceeded (?:\d+ )?(?:bytes|max[^\n]{0,20}header|the configured[^\n]{0,40}header)|rejected \d+ bytes header|response headers? length exceeded|too many (?:header|response header) bytes|server response headers exceeded|header list (?:size )?(?:exceeds|too)|maximum line length|headers size|header overflow|message head is too large|hpe_header_overflow|response header too|header section (?:is )?(?:too|larger)|header exceeds|too much headers|headers? exceed",
        &HEAD_TOO_LARGE,
    ),
    rule(
        r"curl(?:: \(| error )27\)?[:,]? (?:out of memory|\. )|/\x27: out of memory|\berror\(27,|curle_out_of_memory",
        &HEAD_TOO_LARGE_LIKELY,
    ),
    rule(
        r"incomplete chunked read|incompleteread\(\d+ bytes read\)|(?:read|reading) chunk|chunk(?:ed)?\b[^\n]{0,40}(?:premature|unexpected|incomplete|truncated|missing|closed|eof)|premature end of chunk|outstanding read data|incompletechunk|truncatedchunk|unexpected end of chunk|chunk coded message body|chunked transfer encoding, state|invalid chunk|bad chunk|chunked stream ended|unexpected eof during chunk|not enough data to satisfy transfer",
        &CHUNKED,
    ),
    rule(
        r"bytes (?:read|received)?, ?\d+ (?:more )?(?:bytes )?(?:expected|remaining)|with \d+ bytes (?:remaining|missing)|more expected|without sending complete message body|premature end of content-length|expected[^\n]{0,20}received[^\n]{0,20}content-length|content-length[^\n]{0,40}(?:mismatch|expected|not)|contentlengtherror|res(?:ponse)?_?content_length_mismatch|body length|fixed content-length: \d+, bytes received: \d+|additional bytes expected|bytes in (?:response )?body|end of body before",
        &LENGTH,
    ),
    rule(
        r"payload is not completed|protocolexception: unexpected end of stream|premature (?:close|eof)|end of file before message length|body (?:was )?(?:truncated|ended|incomplete)|connection (?:was )?closed before (?:the )?(?:full|body)|read error at byte|incompletebody|incomplete response|terminated[^\n]*\n?[^\n]*other side closed|\x22msg\x22:\x22terminated\x22|error: aborted\b|\x22aborted\x22|aborted pending request|stream (?:has been |was )?aborted|maxcontentlength size of -1|closed at byte|copying content to a stream[^\n]*ended prematurely|error reading a body|transport connection:[^\n]{0,60}closed|err_stream_premature_close|read incomplete|content length mismatch",
        &BODY_CUT,
    ),
    rule(
        r"missing colon|mime header|parsing http/1\.1 header, receiving|header line|headers? (?:ended|incomplete|truncated)|unexpected end of headers|incomplete header|hpe_invalid_eof_state|read error \(success\) in headers|invalid header|httpparsererror: invalid header",
        &HEAD_CUT,
    ),
    rule(
        r"badstatusline|illegal status line|invalid status (?:code|line)|status line|malformed http (?:status|version)|invalid response status|hpe_invalid_status|hpe_invalid_constant|hpe_invalid_version|unsupported http(?:/1)? (?:sub)?version|malformed http|received http/0\.9|expected http/|does not match the http/1\.1|illegal (?:request|header) line|malformed (?:status|response|header|reply|message)|invalid or unrecognized response|malformed_http|parse\((?:version|status|header)|invalid http (?:version|response|header|status)|invalid version|parse error|httpparse|could not parse (?:http )?response|bad (?:http )?status|wrong status line|httpbadresponse|httpparseerror|unparsable|weird server reply|not a valid http response|protocolexception: unexpected status|no valid http|invalid server response|invalid constant|unsupported or invalid|error while parsing|received an invalid (?:status|header)|is not a valid http|servererror: the server committed a protocol violation|committed a protocol violation",
        &MALFORMED,
    ),
    rule(
        r"websocket[^\n]{0,80}(?:unexpected (?:server )?response|bad handshake|handshake status|rejected|upgrade)|server rejected websocket|unexpected server response: \d+|invalid ?status ?code exception",
        &WEBSOCKET,
    ),
];

/// The reading of an error code that a RST_STREAM carries (RFC 9113, section 7).
pub(super) fn h2(code: &str) -> Option<Reading> {
    match code.parse::<u32>() {
        Ok(7) => Some(REFUSED_STREAM.clone()),
        Ok(11) => Some(CALM.clone()),
        Ok(_) => Some(STREAM_RESET.clone()),
        Err(_) => None,
    }
}
