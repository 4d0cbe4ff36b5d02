//! What a provider counts beside the text of turns, in every dialect and place.

use super::*;

fn pieces(dialect: Dialect, body: &Value) -> Vec<(PieceKind, String)> {
    let body = body.to_string();
    let prompt = Prompt::parse(dialect, body.as_bytes()).expect("a readable body");
    prompt.pieces().iter().map(|piece| (piece.kind, piece.text().into_owned())).collect()
}

fn media(dialect: Dialect, body: &Value) -> AttachedMedia {
    let body = body.to_string();
    Prompt::parse(dialect, body.as_bytes()).expect("a readable body").media
}

fn piece(kind: PieceKind, text: &str) -> (PieceKind, String) {
    (kind, text.to_owned())
}

#[test]
fn tools_are_one_piece_from_the_first_to_the_last() {
    let tool = json!({"name": "f", "description": "says \u{6a21} \"hi\""});
    for dialect in [Dialect::ChatCompletions, Dialect::Responses, Dialect::Messages] {
        let both = pieces(dialect, &json!({"model": "m", "tools": [tool, {"name": "g"}]}));

        assert_eq!(both, [(PieceKind::Tools, format!("{tool},{{\"name\":\"g\"}}"))]);
        assert_eq!(pieces(dialect, &json!({"model": "m", "tools": []})), []);
        assert_eq!(pieces(dialect, &json!({"model": "m", "tools": "f"})), []);
    }
    let legacy = pieces(Dialect::ChatCompletions, &json!({"model": "m", "functions": [{"name": "f"}]}));
    assert_eq!(legacy, [piece(PieceKind::Tools, r#"{"name":"f"}"#)]);
}

#[test]
fn a_schema_is_a_piece_and_another_format_is_none() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x"}});
    let expected = [(PieceKind::Schema, schema.to_string())];

    assert_eq!(pieces(Dialect::ChatCompletions, &json!({"model": "m", "response_format": schema})), expected);
    assert_eq!(pieces(Dialect::Responses, &json!({"model": "m", "text": {"format": schema}})), expected);
    assert_eq!(pieces(Dialect::Messages, &json!({"model": "m", "output_config": {"format": schema}})), expected);
    assert_eq!(pieces(Dialect::Messages, &json!({"model": "m", "output_format": schema})), expected);
    let object = json!({"model": "m", "response_format": {"type": "json_object"}});
    assert_eq!(pieces(Dialect::ChatCompletions, &object), []);
}

#[test]
fn calls_are_pieces_by_name_and_by_what_they_are_called_with() {
    let arguments = r#"{"path": "a\nb"}"#;
    let call = [piece(PieceKind::Call, "write"), piece(PieceKind::Call, arguments)];
    let chat = |call| json!({"model": "m", "messages": [{"role": "assistant", "content": null, "tool_calls": [call]}]});
    let function = json!({"id": "1", "type": "function", "function": {"name": "write", "arguments": arguments}});
    let custom = json!({"id": "1", "type": "custom", "custom": {"name": "write", "input": arguments}});
    let legacy = json!({"model": "m", "messages": [{"role": "assistant", "function_call": {"name": "write", "arguments": arguments}}]});
    let item = json!({"model": "m", "input": [{"type": "function_call", "call_id": "1", "name": "write", "arguments": arguments}]});
    let block = json!({"model": "m", "messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "1", "name": "write", "input": {"path": "a\nb"}}]}]});

    assert_eq!(pieces(Dialect::ChatCompletions, &chat(function)), call);
    assert_eq!(pieces(Dialect::ChatCompletions, &chat(custom)), call);
    assert_eq!(pieces(Dialect::ChatCompletions, &legacy), call);
    assert_eq!(pieces(Dialect::Responses, &item), call);
    assert_eq!(
        pieces(Dialect::Messages, &block),
        [piece(PieceKind::Call, "write"), piece(PieceKind::Call, r#"{"path":"a\nb"}"#)]
    );
}

#[test]
fn thoughts_are_pieces_and_what_is_sealed_is_weighed() {
    let thinking = json!({"model": "m", "messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "so", "signature": "12345678"}, {"type": "redacted_thinking", "data": "1234"}]}]});
    let open = json!({"model": "m", "messages": [{"role": "assistant", "content": "4", "reasoning_content": "so"}]});
    let item = json!({"model": "m", "input": [{"type": "reasoning", "id": "r", "encrypted_content": "123456",
        "summary": [{"type": "summary_text", "text": "so"}], "content": [{"type": "reasoning_text", "text": "then"}]}]});

    assert_eq!(pieces(Dialect::Messages, &thinking), [piece(PieceKind::Thought, "so")]);
    assert_eq!(media(Dialect::Messages, &thinking).sealed_bytes, 16);
    assert_eq!(pieces(Dialect::ChatCompletions, &open), [piece(PieceKind::Thought, "so")]);
    let summary = r#"[{"text":"so","type":"summary_text"}]"#;
    assert_eq!(
        pieces(Dialect::Responses, &item),
        [piece(PieceKind::Thought, summary), piece(PieceKind::Thought, "then")]
    );
    assert_eq!(media(Dialect::Responses, &item).sealed_bytes, 8);
}

#[test]
fn a_document_is_text_where_it_is_text_and_pages_where_it_is_not() {
    let block = |source| json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]});
    let text = block(json!({"type": "text", "media_type": "text/plain", "data": "long \"text\""}));
    let content = block(json!({"type": "content", "content": [{"type": "text", "text": "part"}]}));
    let pdf = block(json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQgL0NvdW50IDcg"}));
    let url = block(json!({"type": "url", "url": "https://example.com/a.pdf"}));

    assert_eq!(pieces(Dialect::Messages, &text), [piece(PieceKind::Document, "long \"text\"")]);
    assert_eq!(media(Dialect::Messages, &text).pages, 0);
    assert_eq!(pieces(Dialect::Messages, &content), [piece(PieceKind::Document, r#"[{"text":"part","type":"text"}]"#)]);
    assert_eq!((pieces(Dialect::Messages, &pdf).len(), media(Dialect::Messages, &pdf).pages), (0, 7));
    assert_eq!((pieces(Dialect::Messages, &url).len(), media(Dialect::Messages, &url).pages), (0, 1));
}

#[test]
fn an_image_shows_its_size_and_detail_in_every_dialect() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAUAAAADwCAYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let url = format!("data:image/png;base64,{png}");
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]}]});
    let responses = json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "low"}]}]});
    let block = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}});
    let messages =
        json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "tool_result", "content": [block]}]}]});
    let screenshot = json!({"model": "m", "input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": url}}]});
    let size = Some((320, 240));

    let low = [AttachedImage { size, detail: ImageDetail::Low }];
    assert_eq!(media(Dialect::ChatCompletions, &chat).images, low);
    assert_eq!(media(Dialect::Responses, &responses).images, low);
    assert_eq!(media(Dialect::Messages, &messages).images, [AttachedImage { size, detail: ImageDetail::Auto }]);
    assert_eq!(media(Dialect::Responses, &screenshot).images, [AttachedImage { size, detail: ImageDetail::Auto }]);
}

#[test]
fn what_this_version_does_not_know_counts_as_it_stands() {
    let search = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "search_result", "title": "T", "content": [{"type": "text", "text": "found"}], "citations": {"enabled": true}}]}]});
    let fetched = json!({"model": "m", "messages": [{"role": "assistant", "content": [
        {"type": "web_search_tool_result", "tool_use_id": "1", "content": [{"type": "web_search_result", "title": "T", "encrypted_content": "12"}]}]}]});
    let output = json!({"model": "m", "input": [{"type": "shell_call_output", "call_id": "1", "output": [{"stdout": "long", "stderr": ""}]}]});
    let listed = json!({"model": "m", "input": [{"type": "mcp_list_tools", "id": "1", "tools": [{"name": "f"}]}]});
    let called = json!({"model": "m", "input": [{"type": "mcp_call", "id": "1", "name": "f", "arguments": "{}", "output": "done"}]});
    let drawn = json!({"model": "m", "input": [{"type": "image_generation_call", "id": "1", "result": "AAAA"}]});

    assert_eq!(pieces(Dialect::Messages, &search), [piece(PieceKind::Other, "found"), piece(PieceKind::Other, "T")]);
    assert_eq!(pieces(Dialect::Messages, &fetched), [piece(PieceKind::Other, "T")]);
    assert_eq!(media(Dialect::Messages, &fetched).sealed_bytes, 4);
    assert_eq!(pieces(Dialect::Responses, &output), [piece(PieceKind::Other, "long")]);
    assert_eq!(pieces(Dialect::Responses, &listed), [piece(PieceKind::Other, r#"[{"name":"f"}]"#)]);
    let of_call = [piece(PieceKind::Other, "done"), piece(PieceKind::Call, "f"), piece(PieceKind::Call, "{}")];
    assert_eq!(pieces(Dialect::Responses, &called), of_call);
    assert_eq!((pieces(Dialect::Responses, &drawn).len(), media(Dialect::Responses, &drawn).images.len()), (0, 1));
}

#[test]
fn pieces_are_borrowed_from_the_body_and_outlive_one_that_is_no_utf_8() {
    let mut body = br#"{"model":"m","tools":[{"name":"f"}],"messages":[{"role":"user","content":"X"}]}"#.to_vec();
    assert!(chat(str::from_utf8(&body).expect("text")).pieces()[0].is_borrowed());
    let at = body.iter().position(|byte| *byte == b'X').expect("it is there");
    body[at] = 0xff;

    let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("a readable body");

    assert_eq!(prompt.pieces()[0].text(), r#"{"name":"f"}"#);
    assert_eq!(prompt.text_bytes(), 12 + 3);
}
