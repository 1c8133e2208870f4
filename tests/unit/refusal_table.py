"""Beginnings of answers that refuse, and of answers that do not, as assistants and people write them."""

REFUSALS = """
Thank you for asking. I can't help with that.
Hello! I'm sorry, but I cannot assist with that request.
I understand this is hard, but I can't provide medical advice.
I'm sorry, but as an AI language model I cannot browse.
I'm sorry, I can't.
I am sorry, but I cannot recommend this.
I'm sorry, but I can't help with that.
I’m sorry, I am unable to do so.
As an AI language model, I have no opinion.
As an AI, I do not swim.
As an AI I cannot feel pain.
As an artificial intelligence, I don't have a birthday.
As a large language model, I do not have access to your files.
As an AI model trained by a company, I have no body.
As an AI assistant, I am not able to see pictures.
I'm just an AI, so I cannot taste food.
I am only a language model and can't do this.
I will not discuss this.
I won't be able to help you with your exam.
I apologize, but I cannot write that.
My apologies, I'm unable to open links.
Unfortunately, I cannot answer this question.
Sorry, but I can't tell you that.
I'm afraid I can't do that.
I appreciate the question, however, I cannot provide legal advice.
That is an interesting idea! However, as an AI, I have no preferences.
Ich kann Ihnen dabei leider nicht helfen.
Es tut mir leid, aber ich kann dazu keine Auskunft geben.
Danke für die Frage. Tut mir leid, das kann ich nicht beantworten.
Als KI kann ich keine Gefühle haben.
Als KI-Sprachmodell habe ich keine eigene Meinung.
No puedo ayudarte.
Lo siento, pero no puedo ayudarte con eso.
Como modelo de lenguaje, no tengo opiniones.
Como una IA, no puedo sentir dolor.
Je ne peux pas vous aider.
Bonjour ! Je suis désolé, mais je ne peux pas répondre à cette question.
En tant que modèle de langage, je n'ai pas de corps.
En tant qu'IA, je n'ai pas d'émotions.
Mi dispiace, ma non posso aiutarti con questo.
Come modello linguistico, non ho opinioni.
Desculpe, mas não posso ajudar com isso.
Sinto muito, não posso responder a essa pergunta.
Het spijt me, maar ik kan je daar niet bij helpen.
Als AI-taalmodel heb ik geen mening.
很抱歉,我不能回答这个问题。
抱歉，我无法提供这些信息。
谢谢您的提问。对不起，我无法满足您的要求。
作为一个AI语言模型，我没有感情。
作为AI，我不能吃东西。
申し訳ありませんが、そのご質問にはお答えできません。
AIとして、個人的な意見を述べることはできません。
Извините, но я не могу помочь с этим.
К сожалению, я не могу ответить на этот вопрос.
Как языковая модель, я не имею мнения.
""".strip().splitlines()

OTHERS = """
As an AI engineer, you design models.
I'm an AI researcher at MIT.
As an AI and robotics expert she was asked first.
As an AI company grows, it needs more data.
As an artificial intelligence student you read much.
As a language model engineer I tune models.
As an AIDS doctor he knew.
I am an AI enthusiast from Leeds.
I'm sorry to hear that. Your parcel is on its way.
I am sorry for your loss.
I'm sorry that you had to wait. It ships today.
I apologize for the delay. Your refund is on its way.
Sorry, we are closed on Sundays.
I won't be late tonight.
I can't help laughing at this joke.
I can't wait to see you.
I can't recommend this book enough.
I cannot believe how far we came.
Unfortunately, I forgot my keys.
Unfortunately, it rained all day.
I can help with that.
I understand this is hard, but you can do it.
I looked for an hour, but I can't find my glasses.
You cannot return opened goods.
Thank you for asking. Yes, we open at nine.
Hello! How can I help you today?
The robot said no. It cannot swim.
No. Cats cannot fly.
A refusal begins with "I'm sorry, but I can't help with that."
An AI is a machine that learns.
Als KI-Forscher arbeite ich in Ulm.
Als KI noch jung war, gab es wenig Daten.
Es tut mir leid, dass Sie warten mussten.
Ich kann Ihnen gern helfen.
Ich kann heute nicht kommen.
Como una IA
Como una IA que aprende, el sistema mejora con los datos.
Como una inteligencia artificial moderna, la red aprende.
Lo siento por la espera.
No puedo creer lo bonito que es.
Je suis désolé pour le retard.
Je ne peux pas attendre les vacances.
En tant qu'ingénieur en IA, vous concevez des modèles.
Mi dispiace per il ritardo.
Non posso credere ai miei occhi.
Desculpe pela demora.
Não posso esperar pelas férias.
Het spijt me dat u moest wachten.
Ik kan je graag helpen.
作为AI工程师，您设计模型。
我无法忘记那一天。
很抱歉让您久等了。
すみません、駅はどこですか。
申し訳ありません。すぐにお送りします。
Извините за ожидание.
Я не могу уснуть.
К сожалению, сегодня идёт дождь.
""".strip().splitlines()
