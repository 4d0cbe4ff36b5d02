//! What counts as an image, a sound or a file, wherever an API has it.

use super::*;

fn attached(dialect: Dialect, body: &Value) -> Attachments {
    let body = body.to_string();
    let prompt = Prompt::parse(dialect, body.as_bytes()).expect("a prompt");
    prompt.attachments
}

fn part(part: &Value) -> Attachments {
    attached(Dialect::ChatCompletions, &json!({"model": "m", "messages": [{"role": "user", "content": [part]}]}))
}

const fn images(images: u32) -> Attachments {
    Attachments { images, audio: 0, files: 0 }
}

#[test]
fn pictures_that_are_no_image_parts_count_as_images() {
    for shown in [
        json!({"type": "video_url", "video_url": {"url": "https://h/v.mp4"}}),
        json!({"video_url": {"url": "https://h/v.mp4"}}),
        json!({"type": "image_embeds", "image_embeds": "AAAA"}),
        json!({"type": "image_file", "image_file": {"file_id": "f"}}),
        json!({"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}),
    ] {
        assert_eq!(part(&shown), images(1), "{shown}");
    }
    for (item, count) in [
        (json!({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "x"}}), 1),
        (json!({"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": "x"}}), 1),
        (json!({"type": "image_generation_call", "id": "i", "result": "AAAA"}), 1),
        (json!({"type": "image_generation_call", "id": "i"}), 1),
        (json!({"type": "function_call_output", "output": [{"type": "input_image", "image_url": "x"}]}), 1),
        (
            json!({"type": "code_interpreter_call", "outputs": [{"type": "logs", "logs": "x"}, {"type": "image", "url": "x"}]}),
            1,
        ),
        (json!({"type": "mcp_call", "output": "done"}), 0),
    ] {
        let body = json!({"model": "m", "input": [item]});
        assert_eq!(attached(Dialect::Responses, &body), images(count), "{item}");
    }
}

#[test]
fn images_beside_a_message_s_text_count() {
    for listed in [json!(["AAAA", "BBBB"]), json!([{"type": "image_url", "image_url": {"url": "x"}}, "AAAA"])] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi", "images": listed}]});
        assert_eq!(attached(Dialect::ChatCompletions, &body), images(2), "{listed}");
    }
    let none = json!({"model": "m", "messages": [{"role": "user", "content": "hi", "images": null}]});
    assert_eq!(attached(Dialect::ChatCompletions, &none), images(0));
}

#[test]
fn images_in_a_document_s_content_count_beside_it() {
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://h/i.png"}});
    let document = |content: &Value| json!({"type": "document", "source": {"type": "content", "content": content}});
    let read = |content: &Value| {
        attached(Dialect::Messages, &json!({"model": "m", "messages": [{"role": "user", "content": content}]}))
    };
    let both = Attachments { images: 2, audio: 0, files: 1 };

    let shown = document(&json!([{"type": "text", "text": "a"}, image, image]));
    assert_eq!(read(&json!([shown])), both);
    assert_eq!(read(&json!([{"type": "tool_result", "content": [shown]}])), both);
    assert_eq!(read(&json!([document(&json!("text"))])), Attachments { files: 1, ..images(0) });
    let text = json!([{"type": "document", "source": {"type": "text", "data": "x", "content": [image]}}]);
    assert_eq!(read(&text), Attachments { files: 1, ..images(0) });
}

#[test]
fn sounds_and_documents_by_url_count_as_what_they_are() {
    for sound in [json!({"type": "audio_url", "audio_url": {"url": "x"}}), json!({"audio_url": {"url": "x"}})] {
        assert_eq!(part(&sound), Attachments { audio: 1, ..images(0) }, "{sound}");
    }
    for file in
        [json!({"type": "document_url", "document_url": "x"}), json!({"type": "container_upload", "file_id": "x"})]
    {
        assert_eq!(part(&file), Attachments { files: 1, ..images(0) }, "{file}");
    }
}
